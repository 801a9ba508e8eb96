"""explain: the kernel and the reasons, without running anything."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

import freqops
from freqops import _C
from freqops.explain import Explanation
from freqops.ops import _composition

X = torch.randn(4, 3, 32, 20)
K = torch.randn(32, 11)
EVERY: list[tuple[str, tuple[Any, ...]]] = [
    ("fft_filter1d", (X, K[0])),
    ("fft_filter2d", (X, K)),
    ("filter_bank1d", (X, K)),
    ("filter_bank2d", (X, K[None])),
    ("low_high2d", (X, [0.1, 0.2])),
    ("split_bands2d", (X, [0.1, 0.2])),
    ("mix_amplitude_phase2d", (X, X)),
]


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_every_function_has_a_kernel_on_the_cpu(name: str, arguments: tuple[Any, ...]) -> None:
    by_name = freqops.explain(name, *arguments)
    assert by_name == freqops.explain(getattr(freqops, name), *arguments)
    assert by_name.op == name
    assert by_name.device == "cpu"
    assert by_name.kernel.endswith(_C.cpu_level())
    assert by_name.kernel.startswith("fused ")


def test_tells_the_plan() -> None:
    found = freqops.explain("fft_filter2d", X, K)
    assert found.reasons == (_C.fft_filter_plan(32, 20, "float32", 12),)
    per_channel = freqops.explain("fft_filter2d", X.double(), K.expand(3, -1, -1))
    assert per_channel.reasons == (_C.fft_filter_plan(32, 20, "float64", 4),)
    line = freqops.explain("fft_filter1d", X, K[0])
    assert line.reasons == (_C.fft_filter_plan(1, 20, "float32", 4 * 3 * 32),)


def test_reads_as_text() -> None:
    lines = str(freqops.explain("low_high2d", X.bfloat16(), 0.2)).splitlines()
    assert re.fullmatch(r"low_high2d on cpu: fused low_high kernel, [\w-]+", lines[0])
    assert all(line.startswith("  ") for line in lines[1:])
    assert lines[-1] == "  bfloat16 is computed in float32 and rounded once, on store"


def test_tells_where_a_copy_is_made() -> None:
    five = torch.randn(2, 5, 3, 8, 8)
    assert "copied" not in str(freqops.explain("fft_filter2d", five, torch.ones(8, 5)))
    swapped = five.transpose(0, 1)
    assert "x is copied first" in str(freqops.explain("fft_filter2d", swapped, torch.ones(8, 5)))
    last = X.to(memory_format=torch.channels_last)
    assert "copied" not in str(freqops.explain("fft_filter2d", last, K))


def test_explains_modules() -> None:
    found = freqops.explain(freqops.LowPass2d(0.2), X)
    assert found.op == "LowPass2d"
    assert found.kernel == freqops.explain("fft_filter2d", X, K).kernel
    assert freqops.explain(freqops.GlobalFilter2d(3, (32, 20)), X).kernel == found.kernel
    several = freqops.explain(nn.Sequential(freqops.LowPass2d(0.2), freqops.FFTFilter2d(K)), X)
    assert len([line for line in several.reasons if line.startswith("fft_filter: fused")]) == 2
    nothing = freqops.explain(nn.ReLU(), X)
    assert nothing.kernel == "none"


def test_computes_nothing() -> None:
    """Not even the values it is given matter, only shapes."""
    huge = torch.empty(1, device="cpu").expand(10**6, 3, 1024, 1024)
    assert freqops.explain("fft_filter2d", huge, torch.empty(1024, 513)).device == "cpu"


def test_raises_what_the_op_raises() -> None:
    with pytest.raises(ValueError, match=r"fft_filter2d: response must have shape \[32, 11\]"):
        freqops.explain("fft_filter2d", X, K[1:])
    with pytest.raises(TypeError, match="low_high2d: x must be float32"):
        freqops.explain("low_high2d", X.int(), 0.2)
    with pytest.raises(ValueError, match=r"op must be one of fft_filter1d, .*, got 'conv'"):
        freqops.explain("conv", X)


# --- CUDA, described on a machine that need not have one ----------------------------------------


def on_cuda(name: str, *arguments: Any) -> Explanation:
    """The explanation for CUDA tensors, which a fake mode can make anywhere."""
    with FakeTensorMode():
        moved = [
            torch.empty(value.shape, dtype=value.dtype, device="cuda")
            if isinstance(value, torch.Tensor)
            else value
            for value in arguments
        ]
    return freqops.explain(name, *moved)


class _Planes:
    """Stands for the plane kernel of the CUDA library."""

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def supported(self, height: int, width: int) -> bool:
        return max(height, width) <= self.largest


def pretend(monkeypatch: pytest.MonkeyPatch, largest: int | None) -> None:
    def kernel() -> Any:
        return None if largest is None else (None, _Planes(largest).supported)

    monkeypatch.setattr(_composition, "plane_kernel", kernel)


def test_cuda_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, None)
    found = on_cuda("fft_filter2d", X, K)
    assert found.device == "cuda:0"
    assert found.kernel == "torch.fft composition"
    assert "not loaded" in found.reasons[0]


def test_cuda_with_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 64)
    assert on_cuda("fft_filter2d", X, K).kernel == "fused plane kernel"
    assert on_cuda("fft_filter2d", X.half(), K).kernel == "fused plane kernel"
    for name, arguments, reason in (
        ("fft_filter2d", (X.double(), K), "float64"),
        ("fft_filter1d", (X, K[0]), "two-dimensional"),
        ("fft_filter2d", (torch.ones(80, 8), torch.ones(80, 5)), "planes of 80 x 8"),
        ("filter_bank2d", (X, K[None]), "no CUDA kernel of its own"),
        ("low_high2d", (X, 0.2), "no CUDA kernel of its own"),
    ):
        found = on_cuda(name, *arguments)
        assert found.kernel == "torch.fft composition"
        assert reason in found.reasons[0]


def test_devices_without_kernels() -> None:
    with FakeTensorMode():
        x, k = torch.empty(4, 4, device="xpu"), torch.empty(4, 3, device="xpu")
    found = freqops.explain("fft_filter2d", x, k)
    assert found.kernel == "none"
    assert "none for xpu" in found.reasons[0]
