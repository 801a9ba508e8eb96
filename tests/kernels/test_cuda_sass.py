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

# Of anti-aliased pooling, by layout, element, taps and window: instructions of a turn for each
# input pixel, away from the borders.
POOLS = {
    ("planes", "float", 3, 1): 6.5,
    ("planes", "float", 4, 1): 7.8,
    ("planes", "float", 4, 2): 11.3,
    ("planes", "BFloat16", 3, 1): 6.7,
    ("planes", "BFloat16", 4, 1): 8.1,
    ("planes", "BFloat16", 4, 2): 10.1,
    ("channels", "float", 3, 1): 7.2,
    ("channels", "float", 4, 1): 8.8,
    ("channels", "float", 4, 2): 13.6,
    ("channels", "BFloat16", 3, 1): 6.4,
    ("channels", "BFloat16", 4, 1): 8.1,
    ("channels", "BFloat16", 4, 2): 10.5,
}
# And of their adjoints.
BACKWARD_POOLS = {
    ("planes", "float", 4, 1): 11.9,
    ("planes", "float", 4, 2): 37.1,
    ("planes", "float", 4, 3): 56.4,
    ("planes", "BFloat16", 4, 1): 15.4,
    ("planes", "BFloat16", 4, 2): 39.8,
    ("planes", "BFloat16", 4, 3): 65.4,
    ("channels", "float", 4, 1): 12.1,
    ("channels", "float", 4, 2): 46.8,
    ("channels", "float", 4, 3): 77.9,
    ("channels", "BFloat16", 4, 1): 12.2,
    ("channels", "BFloat16", 4, 2): 46.9,
    ("channels", "BFloat16", 4, 3): 78.6,
}


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


def stencil_kernel(layout: str, element: str, taps: int, window: int) -> tuple[Kernel, int]:
    """And how many outputs a turn of it stores."""
    found = (
        (kernel, stencil.outputs)
        for kernel in kernels()
        if kernel.architecture == ARCHITECTURE
        and (stencil := kernel.stencil) is not None
        and stencil[:4] == (layout, element, taps, window)
        and stencil.vectors
    )
    return next(found)


@cache
def stencil_code() -> dict[str, sass.Code]:
    symbols = [stencil_kernel(*key)[0].symbol for key in POOLS]
    return sass.listing(LIBRARY, ARCHITECTURE, *symbols)


@pytest.mark.parametrize(("layout", "element", "taps", "window"), POOLS)
@pytest.mark.skipif(ARCHITECTURE not in _C.cuda_archs, reason=f"not built for sm_{ARCHITECTURE}")
@pytest.mark.skipif(sass.disassembler() is None, reason="cuobjdump is absent (extra dev)")
def test_instructions_of_pooling_stay_in_budget(
    layout: str, element: str, taps: int, window: int
) -> None:
    kernel, outputs = stencil_kernel(layout, element, taps, window)
    # Two vectors of each row, or one of each column that the output sees.
    loads = 4 if layout == "planes" else 2 * (taps + window - 1)
    turn = sass.instructions_of_a_march(stencil_code()[kernel.symbol], loads=loads)
    number, counted = turn / (4 * outputs), POOLS[layout, element, taps, window]
    assert counted / ALLOWANCE <= number <= counted * ALLOWANCE


def backward_kernel(layout: str, element: str, taps: int, window: int) -> Kernel:
    # Columns and lanes of a thread: 8 elements of a row either way.
    shape = "8, 1" if layout == "planes" else "2, 4" if window == 1 else "4, 2"
    program = f"MaxBlurPoolBackward<{element}, {taps}, {window}, {shape}>"
    (found,) = (k for k in kernels() if (k.architecture, k.program) == (ARCHITECTURE, program))
    return found


@cache
def backward_code() -> dict[str, sass.Code]:
    symbols = [backward_kernel(*key).symbol for key in BACKWARD_POOLS]
    return sass.listing(LIBRARY, ARCHITECTURE, *symbols)


@pytest.mark.parametrize(("layout", "element", "taps", "window"), BACKWARD_POOLS)
@pytest.mark.skipif(ARCHITECTURE not in _C.cuda_archs, reason=f"not built for sm_{ARCHITECTURE}")
@pytest.mark.skipif(sass.disassembler() is None, reason="cuobjdump is absent (extra dev)")
def test_instructions_of_adjoints_stay_in_budget(
    layout: str, element: str, taps: int, window: int
) -> None:
    code = backward_code()[backward_kernel(layout, element, taps, window).symbol]
    # Whole vectors of x in two rows of 8 columns; or of y, where four channels are one in float32.
    rows = 2 * (2 if element == "float" else 1)
    loads = rows if layout == "planes" and window > 1 else 0
    if (layout, element, window) == ("channels", "float", 1):
        loads = 3
    number = sass.instructions_of_a_march(code, loads=loads) / 16
    counted = BACKWARD_POOLS[layout, element, taps, window]
    assert counted / ALLOWANCE <= number <= counted * ALLOWANCE


def test_documentation_shows_the_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
    pools = re.findall(
        r"^\| (planes|channels) (float|BFloat16) (\d) (\d) \| ([\d.]+) \|", text, re.MULTILINE
    )
    assert {(*key[:2], int(key[2]), int(key[3])): float(key[4]) for key in pools} == POOLS
    backward = re.findall(
        r"^\| adjoint, (planes|channels) (float|BFloat16) (\d) (\d) \| ([\d.]+) \|",
        text,
        re.MULTILINE,
    )
    numbers = {(*key[:2], int(key[2]), int(key[3])): float(key[4]) for key in backward}
    assert numbers == BACKWARD_POOLS
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


MARCH = (
    "S2R R0, SR_TID.X",
    "@P0 BRA 0x60",
    "LDG.E.128.CONSTANT R4, [R2]",
    "LDG.E.128.CONSTANT R8, [R2+0x10]",
    "FADD R4, R4, R8",
    "BRA 0x80",
    "LDG.E.128.CONSTANT R4, [R2]",
    "NOP",
    "@P1 BRA 0xa0",
    "STG.E.128 [R0], R4",
    "@!P2 BRA 0x10",
    "EXIT",
)


def test_turn_is_the_way_that_reads_so_many_vectors() -> None:
    """One with another number, a border's, is shorter; and one that skips the store is no turn."""
    code = sass.parsed(listing(*MARCH))["kernel"]
    assert sass.instructions_of_a_march(code, loads=2) == 8
    assert sass.instructions_of_a_march(code, loads=1) == 5
    with pytest.raises(ValueError, match="no loop reads 3 vectors"):
        sass.instructions_of_a_march(code, loads=3)
