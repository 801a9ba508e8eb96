"""Registers, resident blocks and instructions of the kernels of convolutions, without a GPU."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from kernels import cuda_replay, sass
from kernels.cuda_build import LIBRARY, Kernel, kernels, needs_cuda_library

from freqops import _C

pytestmark = needs_cuda_library

ARCHITECTURE = "90"
needs_architecture = pytest.mark.skipif(
    ARCHITECTURE not in _C.cuda_archs, reason=f"not built for sm_{ARCHITECTURE}"
)

# Instructions for each pixel of x by the sides of image and grid, float32, as nvcc 13.0 made them
# when a kernel was last changed on purpose. docs/kernels.md says what is counted.
COUNTED = {
    (7, 14): 105.2,
    (14, 28): 111.7,
    (28, 42): 118.5,
    (56, 64): 64.9,
    (56, 72): 85.1,
}
ALLOWANCE = 1.03


class Padded(NamedTuple):
    """What the name of a kernel says."""

    radices: tuple[int, int]
    image: int
    pairs: int
    threads: int
    blocks_per_sm: int
    element: str

    @property
    def grid(self) -> int:
        return self.radices[0] * self.radices[1]

    def stored(self) -> list[int]:
        """How many real numbers each phase stores of a pair of planes."""
        image, grid = self.image, self.grid
        rows, first, last = 2 * image * grid, 2 * image * image, 2 * grid * grid
        if self.radices[1] == 1:
            return [first, rows, rows, first, first]
        return [rows, rows, last, last, rows, rows, first]


_NAME = re.compile(
    r"PaddedPlaneFilter<PaddedPlan<Axis<(\d+), (\d+)>, (\d+), (\d+), (\d+), (\d+)>, (\w+)>"
)


def padded_kernels() -> list[tuple[Kernel, Padded]]:
    found = []
    for kernel in kernels():
        match = _NAME.fullmatch(kernel.program)
        if kernel.architecture == ARCHITECTURE and match is not None:
            r0, r1, image, pairs, threads, blocks = (int(number) for number in match.groups()[:-1])
            padded = Padded((r0, r1), image, pairs, threads, blocks, match.group(7))
            found.append((kernel, padded))
    return found


@needs_architecture
def test_every_size_is_there_and_nothing_spills() -> None:
    found = {(p.image, p.grid, p.element) for _, p in padded_kernels()}
    elements = ("float", "Half", "BFloat16")
    assert found == {(*sizes, element) for sizes in COUNTED for element in elements}
    assert [str(kernel) for kernel, _ in padded_kernels() if kernel.spilled_bytes] == []


@needs_architecture
def test_promised_blocks_are_resident() -> None:
    """228 KB and 4 x 16384 registers per multiprocessor, 64 warps."""
    missing = []
    for kernel, padded in padded_kernels():
        sides = [padded.image, padded.image], [padded.grid, padded.grid]
        response = torch.ones(padded.grid, padded.grid // 2 + 1)
        cuda_replay.ops().fft_filter_padded_planes(
            torch.zeros(2, *sides[0]), response, None, sides[1], sides[0], "plane"
        )
        threads, shared_bytes = cuda_replay.last_launch()
        assert threads == padded.threads
        warps = -(-threads // 32)
        registers_per_warp = -(-kernel.registers // 8) * 8 * 32
        blocks = min(
            4 * (16384 // registers_per_warp) // warps,
            228 * 1024 // (shared_bytes + 1024),
            64 // warps,
        )
        if blocks < padded.blocks_per_sm:
            missing.append(f"{kernel}: {blocks} blocks of {padded.blocks_per_sm}")
    assert missing == []


@needs_architecture
@pytest.mark.skipif(sass.disassembler() is None, reason="cuobjdump is absent (extra dev)")
@pytest.mark.parametrize(("image", "grid"), COUNTED)
def test_instructions_stay_in_budget(image: int, grid: int) -> None:
    """A number that fell is noted too, or it could rise again unnoticed."""
    ((kernel, padded),) = (
        (kernel, padded)
        for kernel, padded in padded_kernels()
        if (padded.image, padded.grid, padded.element) == (image, grid, "float")
    )
    code = sass.listing(LIBRARY, ARCHITECTURE, kernel.symbol)[kernel.symbol]
    # Before the planes come the tables and which planes they are.
    costs = [sass.cost(phase) for phase in sass.phases(code)[2:-1]]
    pixels = 2 * image * image
    number = sum(
        cost.per_pixel * stored / pixels + cost.per_thread * padded.threads / padded.pairs / pixels
        for cost, stored in zip(costs, padded.stored(), strict=True)
    )
    assert COUNTED[image, grid] / ALLOWANCE <= number <= COUNTED[image, grid] * ALLOWANCE


def test_documentation_shows_the_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
    shown = re.findall(r"^\| (\d+) on (\d+) \| ([\d.]+) \|", text, re.MULTILINE)
    numbers = {(int(image), int(grid)): float(number) for image, grid, number in shown}
    assert numbers == COUNTED
