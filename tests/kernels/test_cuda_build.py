"""What can be known about the CUDA library without a GPU: registers, spills, symbols, loading."""

import ctypes
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kernels.cuda_build import LIBRARY, Kernel, kernels, needs_cuda_library
from kernels.cuda_replay import Program, programs

from freqops import _C, _libraries

pytestmark = needs_cuda_library
needs_cpu_torch = pytest.mark.skipif(
    torch.version.cuda is not None, reason="this torch has the symbol whose absence is tested"
)

# Registers of a thread by form and size for one filter, real and complex response. They come in
# steps of 8; the next step costs a block or a few warps.
REGISTERS = {
    ("plane", 7): (40, 48),
    ("plane", 8): (40, 48),
    ("plane", 14): (64, 80),
    ("plane", 16): (64, 80),
    ("plane", 28): (80, 80),
    ("plane", 32): (128, 128),
    ("plane", 56): (56, 56),
    ("plane", 64): (56, 56),
    ("plane", 96): (56, 56),
    ("plane", 112): (64, 64),
    ("plane", 128): (72, 72),
    ("even_odd", 112): (72, 80),
    ("even_odd", 128): (72, 80),
    ("even_odd", 160): (80, 80),
    ("even_odd", 192): (96, 96),
    ("even_odd", 224): (112, 112),
    ("even_odd", 256): (72, 96),
    ("even_odd", 320): (72, 96),
    ("even_odd", 384): (72, 96),
    ("even_odd", 480): (80, 80),
    ("even_odd", 512): (80, 96),
}
ARCHITECTURES_WITH_A_BUDGET = ("80", "90", "100")

# Registers of a thread of the stencils that matter most, by layout, taps and window, for float32
# and for half types: up to 80 six blocks of 128 threads are resident, up to 128 four.
STENCIL_REGISTERS = {
    ("planes", 3, 1): (64, 64),
    ("planes", 4, 1): (64, 72),
    ("planes", 3, 2): (72, 80),
    ("planes", 4, 2): (80, 96),
    ("planes", 4, 3): (112, 112),
    ("channels", 3, 1): (64, 72),
    ("channels", 4, 1): (72, 72),
    ("channels", 3, 2): (104, 96),
    ("channels", 4, 2): (104, 112),
    ("channels", 4, 3): (104, 104),
}

# Programs that are not compiled for one size: most registers, and most bytes stored or loaded
# because there were not enough. Those that transform lines know their radices at run time only, so
# room is made for the largest.
OTHERS = {
    "LinesPlaneFilter": (128, 1000),
    "LinesFilterStep": (128, 600),
    "LinesRedo": (128, 300),
    "PaddedPlaneFilter": (80, 8),  # none from compute capability 9.0 on
    "TransformPlanes": (128, 400),
    "TransformRows": (128, 0),
    "TransformColumns": (128, 0),
    "AccumulateCorrelation": (64, 0),
    "FinishCorrelation": (64, 0),
    "MixSpectra": (80, 0),
    "BlurStencil": (128, 0),
    "BlurGeneric": (64, 0),
    "BlurTile": (80, 0),  # 3 or 4 blocks of 256 threads are resident
    "MaxBlurPoolBackward": (224, 0),  # 5 to 2 blocks of 128 threads are resident
    "MaxBlurPoolGather": (64, 0),
    "SeparablePlane": (168, 0),  # of float64; 4 blocks of 128 threads for 128, see below
    "SeparableWarp": (128, 0),
    "SeparableLines": (128, 0),
    "SeparableOuter": (64, 0),
    "FetchBins": (80, 0),  # 3 blocks of 256 threads are resident
    "PositionTableFill": (64, 0),
    "EvenOddTableFill": (64, 0),
    "LineRootsFill": (64, 0),
    "MirrorFill": (64, 0),
    "ChirpKernelFill": (255, 0),  # double precision, once per size
}


def name_of(kernel: Kernel) -> str:
    return kernel.program.partition("<")[0]


def program_of(kernel: Kernel) -> Program:
    mine = kernel.filter
    assert mine is not None
    return next(
        program
        for program in programs()
        if (program.form, program.height, program.width) == (mine.form, mine.height, mine.width)
    )


def test_report_covers_every_size_on_every_architecture() -> None:
    expected = {
        (program.form, program.height, program.width, element, complex_response, many)
        for program in programs()
        for element in ("float", "Half", "BFloat16")
        for complex_response in (False, True)
        for many in (False, True)
    }
    assert _C.cuda_archs
    for architecture in _C.cuda_archs:
        mine = [kernel for kernel in kernels() if kernel.architecture == architecture]
        found = [
            (f.form, f.height, f.width, f.element, f.complex_response, f.many)
            for f in (kernel.filter for kernel in mine)
            if f is not None
        ]
        assert len(found) == len(set(found))
        assert set(found) == expected, architecture
        assert {name_of(kernel) for kernel in mine if kernel.filter is None} == set(OTHERS)


def test_no_filter_of_a_listed_size_spills() -> None:
    assert [str(k) for k in kernels() if k.filter is not None and k.spilled_bytes] == []


def test_registers_stay_in_budget() -> None:
    over = []
    for kernel in kernels():
        mine = kernel.filter
        if mine is None or mine.many or kernel.architecture not in ARCHITECTURES_WITH_A_BUDGET:
            continue
        if kernel.registers > REGISTERS[mine.form, mine.height][mine.complex_response]:
            over.append(str(kernel))
    assert over == []


def test_programs_for_any_size_stay_in_budget() -> None:
    over = []
    for kernel in kernels():
        if kernel.filter is not None:
            continue
        registers, spilled_bytes = OTHERS[name_of(kernel)]
        if kernel.registers > registers or kernel.spilled_bytes > spilled_bytes:
            over.append(f"{kernel}, {kernel.spilled_bytes} bytes spilled")
    assert over == []


def test_every_separable_kernel_is_there_and_stays_in_budget() -> None:
    """Four blocks of 128 threads are resident with up to 128 registers; float64 has three."""
    halves = ("Half", "BFloat16")
    elements = ("float", "double", *halves)
    expected = {f"SeparablePlane<{one}, {flag}>" for one in elements for flag in ("true", "false")}
    expected |= {f"SeparableWarp<{one}>" for one in halves}
    expected |= {f"SeparableLines<{one}, {one}, float>" for one in ("float", *halves)}
    expected |= {f"SeparableLines<{one}, float, float>" for one in halves}
    expected |= {f"SeparableLines<float, {one}, float>" for one in halves}
    expected |= {"SeparableLines<double, double, double>", "SeparableOuter<double, double>"}
    expected |= {f"SeparableOuter<{one}, float>" for one in ("float", *halves)}
    for architecture in _C.cuda_archs:
        mine = [
            kernel
            for kernel in kernels()
            if kernel.architecture == architecture and kernel.program.startswith("Separable")
        ]
        assert {kernel.program for kernel in mine} == expected
        over = [k for k in mine if k.registers > (168 if "double" in k.program else 128)]
        assert [str(kernel) for kernel in over] == []


def test_every_stencil_is_there_and_stays_in_budget() -> None:
    """On compute capability 9.0; that nothing is spilled is asked of all."""
    seen, over = set(), []
    for kernel in kernels():
        stencil = kernel.stencil
        if stencil is None or kernel.architecture != "90":
            continue
        seen.add((*stencil[:4], stencil.vectors))
        kind = (stencil.layout, stencil.taps, stencil.window)
        if stencil.vectors and kind in STENCIL_REGISTERS:
            in_float, in_half = STENCIL_REGISTERS[kind]
            if kernel.registers > (in_float if stencil.element == "float" else in_half):
                over.append(str(kernel))
    assert over == []
    if "90" in _C.cuda_archs:
        elements = ("float", "Half", "BFloat16")
        assert seen == set(
            itertools.product(("planes", "channels"), elements, (3, 4, 5), (1, 2, 3), (False, True))
        )


def test_promised_blocks_are_resident() -> None:
    """On compute capability 9.0: 228 KB and 4 x 16384 registers per multiprocessor, 64 warps.

    The plan promises them for one response; several may need more registers.
    """
    missing = []
    for kernel in kernels():
        mine = kernel.filter
        if mine is None or mine.many or kernel.architecture != "90":
            continue
        program = program_of(kernel)
        assert (mine.threads, mine.blocks_per_sm) == (program.threads, program.blocks_per_sm)
        warps = -(-mine.threads // 32)
        registers_per_warp = -(-kernel.registers // 8) * 8 * 32
        blocks = min(
            4 * (16384 // registers_per_warp) // warps,
            228 * 1024 // (program.shared_bytes + 1024),
            64 // warps,
        )
        if blocks < mine.blocks_per_sm:
            missing.append(f"{kernel}: {blocks} blocks of {mine.blocks_per_sm}")
    assert missing == []


def test_library_needs_no_cpp_symbol_of_torch() -> None:
    listing = subprocess.run(
        ["nm", "-D", "--undefined-only", LIBRARY], capture_output=True, text=True, check=True
    ).stdout
    assert "aoti_torch_get_current_cuda_stream" in listing
    assert "torch_library_impl" in listing
    assert re.findall(r"_ZNK?(?:2at|3c10|5torch)\w+", listing) == []


@needs_cpu_torch
def test_library_refuses_a_torch_without_cuda() -> None:
    with pytest.raises(OSError, match="undefined symbol: aoti_torch_get_current_cuda_stream"):
        ctypes.CDLL(str(LIBRARY))


@needs_cpu_torch
def test_library_is_not_loaded_into_a_torch_without_cuda() -> None:
    assert not _libraries.CUDA.loaded
    assert not hasattr(torch.ops.freqops, "fft_filter_planes")


_REGISTRATION = """
import sys, torch
torch.ops.load_library(sys.argv[1])
ops = torch.ops.freqops
for name in ("fft_filter_table", "fft_filter_planes"):
    print(torch._C._dispatch_has_kernel_for_dispatch_key(f"freqops::{name}", "CUDA"))
print(ops.fft_filter_form(8, 8), ops.fft_filter_form(-7, 2**40))
print(ops.fft_filter_form_takes("plane", 8, 8))
try:
    ops.fft_filter_table(torch.zeros(8, 5), None, "plane", 8)
except NotImplementedError as error:
    print("'CPU' backend" in str(error))
"""


@needs_cpu_torch
def test_library_registers_its_ops(tmp_path: Path) -> None:
    """With a stand-in for the one missing symbol the library loads and can be asked what it has.

    Where there is no device, no form takes any size.
    """
    source, stand_in = tmp_path / "stream.cpp", tmp_path / "stream.so"
    symbol = "int aoti_torch_get_current_cuda_stream(int, void**) { return 1; }"
    source.write_text(f'extern "C" {symbol}\n')
    compiler = os.environ.get("CXX", "c++")
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", stand_in], check=True)
    result = subprocess.run(
        [sys.executable, "-c", _REGISTRATION, LIBRARY],
        env={**os.environ, "LD_PRELOAD": str(stand_in)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["True", "True", "none none", "False", "True"]
