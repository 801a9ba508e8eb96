"""What can be known about the CUDA library without a GPU: registers, spills, symbols, loading."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from kernels.cuda_replay import PlanePlan, plane_plans

from freqops import _C, _libraries

REPORT = Path(__file__).parents[2] / "build" / "ptxas-report.txt"
LIBRARY = Path(_libraries.__file__).with_name("libfreqops_cuda.so")
NVCC = shutil.which("nvcc") or shutil.which(
    "nvcc", path=Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
)
pytestmark = [
    pytest.mark.skipif(NVCC is None, reason="nvcc is absent, so no CUDA library was built"),
    pytest.mark.skipif(os.environ.get("FREQOPS_CUDA") == "0", reason="FREQOPS_CUDA=0"),
]
needs_cpu_torch = pytest.mark.skipif(
    torch.version.cuda is not None, reason="this torch has the symbol whose absence is tested"
)

# Registers of a thread by size, real and complex response, where shared memory lets several blocks
# in. They come in steps of 8; the next step costs a block or a few warps.
REGISTERS = {
    7: (40, 48),
    8: (40, 48),
    14: (64, 80),
    16: (64, 80),
    28: (80, 80),
    32: (120, 128),
    56: (56, 56),
    64: (56, 56),
    96: (56, 56),
    112: (64, 64),
    128: (72, 72),
}
ARCHITECTURES_WITH_A_BUDGET = ("80", "90", "100")


class Kernel(NamedTuple):
    name: str
    architecture: str
    spilled_bytes: int
    registers: int


class PlaneKernel(NamedTuple):
    height: int
    width: int
    element: str
    complex_response: bool


@cache
def kernels() -> tuple[Kernel, ...]:
    """The report has three lines for each kernel: its name, its spills, its registers."""
    text = REPORT.read_text()
    entries = re.findall(
        r"Compiling entry function '(\S+)' for 'sm_(\w+)'.*?"
        r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
        text,
        re.DOTALL,
    )
    assert len(entries) == text.count("Compiling entry function")
    mangled = "\n".join(entry[0] for entry in entries)
    names = subprocess.run(
        ["c++filt"], input=mangled, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return tuple(
        Kernel(name, architecture, int(stores) + int(loads), int(registers))
        for name, (_, architecture, stores, loads, registers) in zip(names, entries, strict=True)
    )


def plane_kernel(kernel: Kernel) -> PlaneKernel | None:
    """What the template arguments of fft_filter_plane_kernel say."""
    pattern = (
        r"fft_filter_plane_kernel<\S*PlanePlan<\S*Axis<(\d+), (\d+)>, \S*Axis<(\d+), (\d+)>, "
        r"\d+, \d+, \d+>, (?:\w+::)*(\w+), (.*?)>\("
    )
    match = re.search(pattern, kernel.name)
    if match is None:
        return None
    h0, h1, w0, w1, element, gain = match.groups()
    return PlaneKernel(int(h0) * int(h1), int(w0) * int(w1), element, "Complex" in gain)


def plan_of(kernel: PlaneKernel) -> PlanePlan:
    size = (kernel.height, kernel.width)
    return next(plan for plan in plane_plans() if (plan.height, plan.width) == size)


def test_report_covers_every_plan_on_every_architecture() -> None:
    expected = {
        PlaneKernel(plan.height, plan.width, element, complex_response)
        for plan in plane_plans()
        for element in ("float", "Half", "BFloat16")
        for complex_response in (False, True)
    }
    assert _C.cuda_archs
    for architecture in _C.cuda_archs:
        mine = [kernel for kernel in kernels() if kernel.architecture == architecture]
        assert {plane_kernel(kernel) for kernel in mine} - {None} == expected, architecture
        assert sum("response_table_kernel" in kernel.name for kernel in mine) == 2


def test_no_kernel_spills() -> None:
    assert [kernel for kernel in kernels() if kernel.spilled_bytes] == []


def test_registers_stay_in_budget() -> None:
    over = []
    for kernel in kernels():
        plane = plane_kernel(kernel)
        if plane is None or kernel.architecture not in ARCHITECTURES_WITH_A_BUDGET:
            continue
        if kernel.registers > REGISTERS[plane.height][plane.complex_response]:
            over.append((plane, kernel.architecture, kernel.registers))
    assert over == []


def test_promised_blocks_are_resident() -> None:
    """On compute capability 9.0: 228 KB and 4 x 16384 registers per multiprocessor, 64 warps."""
    for kernel in kernels():
        plane = plane_kernel(kernel)
        if plane is None or kernel.architecture != "90":
            continue
        plan = plan_of(plane)
        warps = -(-plan.threads // 32)
        registers_per_warp = -(-kernel.registers // 8) * 8 * 32
        blocks = min(
            4 * (16384 // registers_per_warp) // warps,
            228 * 1024 // (plan.shared_bytes + 1024),
            64 // warps,
        )
        assert blocks >= plan.blocks_per_sm, (plane, kernel.registers)


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
    assert not hasattr(torch.ops.freqops, "fft_filter_plane")


_REGISTRATION = """
import sys, torch
torch.ops.load_library(sys.argv[1])
ops = torch.ops.freqops
print(ops.fft_filter_plane.default._schema)
print(torch._C._dispatch_has_kernel_for_dispatch_key("freqops::fft_filter_plane", "CUDA"))
print(ops.fft_filter_plane_supported(9, 9), ops.fft_filter_plane_supported(-7, 2**40))
try:
    ops.fft_filter_plane(torch.zeros(2, 8, 8), torch.zeros(8, 5), None)
except NotImplementedError as error:
    print("'CPU' backend" in str(error))
"""


@needs_cpu_torch
def test_library_registers_its_ops(tmp_path: Path) -> None:
    """With a stand-in for the one missing symbol the library loads and can be asked what it has."""
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
    assert result.stdout.splitlines() == [
        "freqops::fft_filter_plane(Tensor x, Tensor response, Tensor? imag) -> Tensor",
        "True",
        "False False",
        "True",
    ]
