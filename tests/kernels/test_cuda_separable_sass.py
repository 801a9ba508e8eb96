"""How many instructions a pixel costs in separable maps: a slower kernel shows without a GPU.

What is counted stands in docs/kernels.md.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from kernels import sass
from kernels.cuda_build import LIBRARY, kernels
from kernels.sass import Code, instructions_of_a_turn

from freqops import _C

ARCHITECTURE = "90"
ALLOWANCE = 1.03

# Instructions per pixel of x by form, element and size, for pooling to half the size, as nvcc 13.0
# made them when a kernel was last changed on purpose.
COUNTED = {
    ("plane", "float", 14): 34.9,
    ("plane", "float", 28): 36.1,
    ("plane", "float", 56): 42.0,
    ("plane", "float", 112): 55.6,
    ("tensor_cores", "BFloat16", 28): 26.9,
    ("tensor_cores", "BFloat16", 56): 22.2,
    ("tensor_cores", "BFloat16", 112): 24.6,
}


def symbol(form: str, element: str) -> str:
    program = {"plane": f"SeparablePlane<{element}, true>"}.get(form, f"SeparableWarp<{element}>")
    (found,) = (k for k in kernels() if (k.architecture, k.program) == (ARCHITECTURE, program))
    return found.symbol


@cache
def code(form: str, element: str) -> Code:
    name = symbol(form, element)
    return sass.listing(LIBRARY, ARCHITECTURE, name)[name]


def up(count: int, to: int) -> int:
    return -(-count // to)


def holding(phase: Code, opcode: str) -> tuple[int, int]:
    """The innermost loop that has such an instruction."""
    found = [
        (b - a, (a, b))
        for a, b in sass.loops(phase)
        if any(one.opcode.startswith(opcode) for one in phase[a : b + 1])
    ]
    return min(found)[1]


def whole(phase: Code) -> tuple[int, int]:
    """The loop over tasks."""
    return max(sass.loops(phase), key=lambda span: span[1] - span[0])


def stored(phase: Code, size: int) -> float:
    """Results, four times as many elements of x; 16 bytes at a time, four times in a turn."""
    bounds = holding(phase, "STG.E.128")
    vectors = sum(one.opcode.startswith("STG.E.128") for one in phase[bounds[0] : bounds[1] + 1])
    in_one = 4 if any("F2FP" in one.opcode for one in phase[bounds[0] : bounds[1] + 1]) else 2
    elements = vectors * 2 * in_one if in_one == 4 else vectors * 4
    turn = instructions_of_a_turn(phase, bounds, STG=vectors)
    return turn * (size // 2) ** 2 / elements


def of_plane_form(kernel: Code, size: int) -> float:
    """Of a plane: staging, first axis, second axis, storing (csrc/.../separable_plane.cuh).

    From 40 on with the ideal low pass, which leaves even samples to one output each.
    """
    _, _, stage, first, second, store, _ = sass.phases(kernel)
    sparse = size >= 40
    even, odd = up(size // 2 + 1, 4) * 4, up((size + 1) // 2, 4) * 4
    lines = [size // 2 + 1, (size - 1) // 2]
    if sparse:
        even = 2 * up(size // 4 + 1, 4) * 4
        lines = [(size // 2 + 1) // 2, size // 4]
    summed = 2 * up((size // 2 + 1) // 2, 4) * 4 if sparse else even + odd
    tiles, vector = up(size // 4 + 1, 4), 4 if size % 4 == 0 else 2
    # Two rows that are paired; vectors, what they are paired with, and one more element of each.
    turn = instructions_of_a_turn(
        stage, holding(stage, f"LDG.E.{32 * vector}"), LDG=6, STS=8 if sparse else 4
    )
    staged = turn * (size // 2) * even / vector

    # Of the loops a way passes two, all of which are alike; the even samples' products are 32.
    products = 128 + 32 * sparse
    bodies = [b - a + 1 for a, b in sass.loops(first) if (a, b) != whole(first)]
    task = instructions_of_a_turn(first, whole(first), STS=32, FFMA=products)
    along = task + (summed / 4 - 2) * bodies[0]

    bodies = [b - a + 1 for a, b in sass.loops(second) if (a, b) != whole(second)]
    task = instructions_of_a_turn(
        second, whole(second), STS=32, FFMA=products, LDS_=8 if sparse else 0
    )
    across = task + (sum(lines) / 4 - 2) * bodies[0]
    total = along * tiles * size / 4 + across * tiles * (size / 2) / 4
    return (staged + total + stored(store, size)) / size**2


def of_tensor_cores(kernel: Code, size: int) -> float:
    """Of a plane: staging, both axes, storing (csrc/.../separable_warps.cuh)."""
    _, stage, multiply, store, _ = sass.phases(kernel)
    count = 8 if size % 8 == 0 else 4
    bounds = holding(stage, "LDG.E.128" if count == 8 else "LDG.E.64")
    turn = instructions_of_a_turn(stage, bounds, LDG=4, STS=4)
    staged = turn * size**2 / (4 * count)

    steps, rows = up(size, 16), size // 2
    fragments, tiles = up(rows, 16), up(rows, 16)
    inner = holding(multiply, "HMMA")
    (middle,) = (
        (a, b)
        for a, b in sass.loops(multiply)
        if a <= inner[0] and inner[1] <= b and (a, b) not in (inner, whole(multiply))
    )
    step = instructions_of_a_turn(multiply, middle, HMMA=4 + 6 * tiles)
    step += (steps - 1) * len(multiply[inner[0] : inner[1] + 1])
    task = instructions_of_a_turn(multiply, whole(multiply), STS=4 * up(rows, 8), HMMA=10)
    task -= instructions_of_a_turn(multiply, middle, HMMA=10)
    multiplied = (task + steps * step) * 32 * fragments
    return (staged + multiplied + stored(store, size)) / size**2


@pytest.mark.parametrize(("form", "element", "size"), COUNTED)
@pytest.mark.skipif(ARCHITECTURE not in _C.cuda_archs, reason=f"not built for sm_{ARCHITECTURE}")
@pytest.mark.skipif(sass.disassembler() is None, reason="cuobjdump is absent (extra dev)")
def test_instructions_stay_in_budget(form: str, element: str, size: int) -> None:
    """A number that fell is noted too, or it could rise again unnoticed."""
    count = of_plane_form if form == "plane" else of_tensor_cores
    number, counted = count(code(form, element), size), COUNTED[form, element, size]
    assert counted / ALLOWANCE <= number <= counted * ALLOWANCE


def test_documentation_shows_the_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
    shown = re.findall(
        r"^\| (plane|tensor_cores), (\w+) (\d+) to \d+ \| ([\d.]+) \|", text, re.MULTILINE
    )
    numbers = {(form, element, int(size)): float(n) for form, element, size, n in shown}
    assert numbers == COUNTED
