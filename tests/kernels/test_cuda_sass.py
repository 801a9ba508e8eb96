"""How many instructions a pixel costs in the headline kernels: a slower kernel shows without a GPU.

What is counted stands in docs/kernels.md and in sass.py.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from kernels import sass
from kernels.cuda_build import LIBRARY, Kernel, kernels
from kernels.cuda_replay import programs

from freqops import _C

ARCHITECTURE = "90"

# Instructions per pixel by form and size, float32 and one real response, as nvcc 13.0 made them
# when a kernel was last changed on purpose.
COUNTED = {
    ("plane", 7): 52.2,
    ("plane", 14): 49.9,
    ("plane", 28): 43.6,
    ("plane", 32): 42.1,
    ("plane", 56): 67.1,
    ("plane", 64): 60.8,
    ("plane", 112): 67.9,
    ("even_odd", 112): 62.9,
    ("even_odd", 128): 57.4,
    ("even_odd", 224): 64.1,
    ("even_odd", 256): 74.5,
    ("even_odd", 384): 74.6,
    ("even_odd", 512): 78.3,
}
ALLOWANCE = 1.03


def headline_kernel(form: str, size: int) -> Kernel:
    (kernel,) = (
        kernel
        for kernel in kernels()
        if kernel.architecture == ARCHITECTURE
        and kernel.filter is not None
        and kernel.filter[:3] == (form, size, size)
        and kernel.filter[-3:] == ("float", False, False)
    )
    return kernel


@cache
def code() -> dict[str, sass.Code]:
    symbols = [headline_kernel(*key).symbol for key in COUNTED]
    return sass.listing(LIBRARY, ARCHITECTURE, *symbols)


def setup_phases(kernel: Kernel) -> int:
    """Which planes a block takes; before it, unless one stage does an axis, the twiddles."""
    mine = kernel.filter
    assert mine is not None
    return 1 if f"Axis<{mine.height}, 1>" in kernel.program else 2


@pytest.mark.parametrize(("form", "size"), COUNTED)
@pytest.mark.skipif(ARCHITECTURE not in _C.cuda_archs, reason=f"not built for sm_{ARCHITECTURE}")
@pytest.mark.skipif(sass.disassembler() is None, reason="cuobjdump is absent (extra dev)")
def test_instructions_stay_in_budget(form: str, size: int) -> None:
    """A number that fell is noted too, or it could rise again unnoticed."""
    kernel = headline_kernel(form, size)
    program = next(p for p in programs() if (p.form, p.height, p.width) == (form, size, size))
    number = sass.instructions_per_pixel(
        code()[kernel.symbol],
        setup=setup_phases(kernel),
        threads=program.threads * program.cluster_blocks,
        pixels=program.planes * size * size,
    )
    assert COUNTED[form, size] / ALLOWANCE <= number <= COUNTED[form, size] * ALLOWANCE


def test_documentation_shows_the_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
    shown = re.findall(r"^\| (plane|even_odd) (\d+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert {(form, int(size)): float(number) for form, size, number in shown} == COUNTED


# --- the counting itself --------------------------------------------------------------------------


def listing(*lines: str) -> str:
    """As cuobjdump prints it, an instruction every 16 bytes."""
    body = "".join(
        f"        /*{16 * index:04x}*/                   {line} ;   /* 0x0 */\n"
        for index, line in enumerate(lines)
    )
    return f"\n\tcode for sm_90\n\t\tFunction : kernel\n\t.headerflags\n{body}\n"


def cost_of(*lines: str) -> sass.Cost:
    return sass.cost(sass.parsed(listing(*lines))["kernel"])


LOOP = (
    "S2R R0, SR_TID.X",
    "@P0 BRA 0x80",
    "LDS.64 R2, [R0]",
    "FADD R2, R2, R3",
    "STS.64 [R0], R2",
    "IADD3 R0, R0, 0x100, RZ",
    "ISETP.GE.AND P1, PT, R0, 0x700, PT",
    "@!P1 BRA 0x20",
    "BAR.SYNC.DEFER_BLOCKING 0x0",
)


def test_loop_counts_by_what_it_stores() -> None:
    """6 instructions store an element of 2 pixels; 3 stand around them."""
    assert cost_of(*LOOP) == sass.Cost(per_pixel=3.0, per_thread=3)


def test_one_instruction_more_is_seen() -> None:
    heavier = [*LOOP[:3], "FMUL R2, R2, R4", *LOOP[3:]]
    assert cost_of(*(line.replace("0x80", "0x90") for line in heavier)).per_pixel == 3.5


def test_unrolling_changes_nothing() -> None:
    """Two elements in a turn; the remainder before the loop is skipped like the compiler does."""
    per_pixel, per_thread = cost_of(
        "S2R R0, SR_TID.X",
        "@P0 BRA 0x50",
        "LDS.64 R2, [R0]",
        "STS.64 [R0], R2",
        "NOP",
        "LDS.64 R2, [R0]",
        "STS.64 [R0], R2",
        "LDS.64 R4, [R0+0x800]",
        "STS.64 [R0+0x800], R4",
        "IADD3 R0, R0, 0x200, RZ",
        "@!P1 BRA 0x50",
        "BAR.SYNC.DEFER_BLOCKING 0x0",
    )
    assert per_pixel == 6 / 4
    assert per_thread == 3


def test_shortest_of_the_ways_that_store_everything() -> None:
    """One 8-byte store where the address is aligned, two elsewhere; a rare branch is left out."""
    per_pixel, _ = cost_of(
        "LDS.64 R2, [R0]",
        "@P0 BRA 0x50",
        "STG.E [R4.64], R2",
        "STG.E [R4.64+0x4], R3",
        "BRA 0x60",
        "STG.E.64 [R4.64], R2",
        "@P1 BRA 0x90",
        "FSETP.NAN P2, PT, R2, R2, PT",
        "STS.U8 [R9], R8",
        "@!P3 BRA 0x0",
        "BAR.RED.OR.DEFER_BLOCKING 0x0, P0",
    )
    assert per_pixel == 5 / 2


def test_phases_end_at_barriers() -> None:
    code = sass.parsed(listing("S2R R0, SR_TID.X", "BAR.SYNC 0x0", *LOOP, "EXIT"))["kernel"]
    assert [len(phase) for phase in sass.phases(code)] == [2, len(LOOP), 1]


def test_kernel_is_the_sum_of_its_phases() -> None:
    """A setup phase, a loop, a barrier of the cluster, what is left; 64 threads for 128 pixels."""
    setup = ("STS.64 [R1], R2", "BAR.SYNC 0x0")
    loop = [line.replace("0x80", "0xa0").replace("0x20", "0x40") for line in LOOP]
    across = ("@!P0 BRA 0xe0", "UCGABAR_WAIT", "BRA 0xf0", "BAR.SYNC 0x0")
    code = sass.parsed(listing(*setup, *loop, *across, "MOV R1, R2", "BAR.SYNC 0x0", "EXIT"))
    phases = sass.phases(code["kernel"])
    assert [len(phase) for phase in phases] == [2, len(LOOP), 2, 4, 1]
    number = sass.instructions_per_pixel(code["kernel"], setup=1, threads=64, pixels=128)
    # 2 up to the cluster's barrier, and 3 from there on.
    assert number == 3.0 + (3 + 2 + 3) * 64 / 128
