"""Convolutions as they are made of CUDA kernels, run on the CPU: over the host replay of them."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import torch
from kernels import cuda_replay
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import freqops
from freqops import reference
from freqops.ops import _cuda
from freqops.ops._convolutions import convolution_path
from freqops.ops._cuda import Kernels

Noted: TypeAlias = "list[tuple[str, tuple[int, ...]]]"


class Noting:
    """The ops of the library, of which two note the grids that they are called with."""

    def __init__(self, ops: Any) -> None:
        self._ops = ops
        self.calls: Noted = []

    def __getattr__(self, name: str) -> Any:
        op = getattr(self._ops, name)
        if name not in ("fft_filter_padded_planes", "spectral_correlation_padded_planes"):
            return op

        def noted(*arguments: Any) -> Any:
            kind = "filter" if name.startswith("fft") else "correlation"
            self.calls.append((kind, tuple(arguments[3])))
            return op(*arguments)

        noted.default = noted  # type: ignore[attr-defined]
        return noted


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    """The replay stands for the CUDA library, on tensors of the CPU."""
    replayed = Kernels(cuda_replay.ops())
    with cuda_replay.dispatched(replayed):
        monkeypatch.setattr(_cuda, "kernels_on", lambda device: replayed)
        yield replayed


@pytest.fixture
def noted(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> Noted:
    """What the kernels are called with."""
    noting = Noting(cuda_replay.ops())
    monkeypatch.setattr(kernels, "_ops", noting)
    return noting.calls


def gradients(y: Tensor, inputs: list[Tensor], g: Tensor) -> list[Tensor]:
    return [y, *torch.autograd.grad(y, inputs, g.to(y.dtype))]


# Sides of x and of the kernel, what else there is, and the grids: to filter on, to correlate on.
CASES: list[tuple[tuple[int, int], tuple[int, int], dict[str, Any], Any, Any]] = [
    ((7, 7), (7, 7), {}, (14, 14), (10, 10)),
    ((7, 7), (13, 13), {}, (14, 14), (14, 14)),
    ((14, 14), (3, 5), {}, (28, 28), (16, 16)),
    ((14, 14), (27, 27), {}, (28, 28), (28, 28)),
    ((28, 28), (29, 29), {}, (42, 42), (42, 42)),
    ((56, 56), (7, 7), {}, (64, 64), (60, 60)),
    ((56, 56), (31, 5), {}, (72, 72), (72, 60)),
    # What no kernel was made for: larger kernels, other sides, strides, padding that is not half.
    ((7, 7), (17, 17), {"padding": 8}, (18, 18), (18, 18)),
    ((7, 8), (5, 5), {}, (10, 10), (10, 10)),
    ((14, 14), (5, 5), {"padding": 2, "stride": 2}, (16, 16), (16, 16)),
    ((14, 14), (5, 5), {"padding": 0}, (14, 14), (14, 14)),
    ((14, 14), (3, 3), {"dilation": 4}, (28, 28), (18, 18)),
]


@pytest.mark.parametrize(("sides", "kernel", "options", "on", "correlated_on"), CASES)
def test_depthwise(
    noted: Noted, sides: Any, kernel: Any, options: dict[str, Any], on: Any, correlated_on: Any
) -> None:
    """y, and the gradients for x and the weight, each by a kernel, on its own grid."""
    options = {"padding": "same", "groups": 3} | options
    x = torch.randn(3, 3, *sides, requires_grad=True)
    weight = torch.randn(3, 1, *kernel, requires_grad=True)
    wide = [x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()]
    expected = torch.nn.functional.conv2d(*wide, **options)
    g = torch.randn(expected.shape)
    y = freqops.fft_conv2d(x, weight, algorithm="fft", **options)
    found = gradients(y, [x, weight], g)
    assert noted == [("filter", on), ("filter", on), ("correlation", correlated_on)]
    for one, exact in zip(found, gradients(expected, wide, g), strict=True):
        assert one.dtype == torch.float32
        assert (one - exact).norm() < 2e-6 * exact.norm()


def test_several_outputs_of_a_channel_and_channels_last(kernels: Kernels) -> None:
    x = torch.randn(3, 2, 14, 14).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(4, 1, 9, 9, requires_grad=True)
    y = freqops.fft_conv2d(x, weight, padding="same", groups=2, algorithm="fft")
    assert y.is_contiguous(memory_format=torch.channels_last)
    g = torch.randn(y.shape)
    wide = [x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()]
    expected = torch.nn.functional.conv2d(*wide, padding="same", groups=2)
    for one, exact in zip(gradients(y, [x, weight], g), gradients(expected, wide, g), strict=True):
        assert (one - exact).norm() < 2e-6 * exact.norm()


def test_lines(noted: Noted) -> None:
    """Planes of height 1."""
    x = torch.randn(3, 4, 50, requires_grad=True)
    weight = torch.randn(4, 1, 21, requires_grad=True)
    y = freqops.fft_conv1d(x, weight, padding="same", groups=4, algorithm="fft")
    g = torch.randn(y.shape)
    found = gradients(y, [x, weight], g)
    assert noted == [("filter", (1, 60)), ("filter", (1, 60)), ("correlation", (1, 60))]
    wide = [x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()]
    expected = torch.nn.functional.conv1d(*wide, padding="same", groups=4)
    for one, exact in zip(found, gradients(expected, wide, g), strict=True):
        assert one.shape == exact.shape
        assert (one - exact).norm() < 2e-6 * exact.norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_take_the_same_kernels(noted: Noted, dtype: torch.dtype) -> None:
    x, weight = torch.randn(2, 3, 28, 28).to(dtype), torch.randn(3, 1, 13, 13).to(dtype)
    y = freqops.fft_conv2d(x, weight, padding="same", groups=3, algorithm="fft")
    assert noted == [("filter", (42, 42))]
    assert y.dtype == dtype
    exact = torch.nn.functional.conv2d(x.double(), weight.double(), padding="same", groups=3)
    assert (y - exact).norm() < torch.finfo(dtype).eps * exact.norm()


def test_double_precision_takes_none(noted: Noted) -> None:
    x, weight = torch.randn(2, 3, 28, 28).double(), torch.randn(3, 1, 13, 13).double()
    y = freqops.fft_conv2d(x, weight, padding="same", groups=3, algorithm="fft")
    assert noted == []
    exact = torch.nn.functional.conv2d(x, weight, padding="same", groups=3)
    assert (y - exact).norm() < 1e-14 * exact.norm()


def test_a_band_is_one_of_the_grid_of_any_device(noted: Noted) -> None:
    """Which frequencies there are to cut depends on the grid, so it may not depend on a kernel."""
    x, weight = torch.randn(2, 3, 28, 28), torch.randn(3, 1, 3, 3)
    y = freqops.band_limited_conv2d(x, weight, padding=1, groups=3, compression=0.5)
    assert noted == [("filter", (30, 30))]
    # Of 16 indices floor(16 sqrt(1 / 2)) = 11 are left along each axis.
    exact = reference.band_limited_conv2d(
        x.double(), weight.double(), padding=1, groups=3, band=10, fft_size=30
    )
    assert (y - exact).norm() < 2e-6 * exact.norm()


def test_nothing_is_left_of_an_empty_batch(kernels: Kernels) -> None:
    x = torch.randn(0, 3, 28, 28, requires_grad=True)
    weight = torch.randn(3, 1, 13, 13, requires_grad=True)
    y = freqops.fft_conv2d(x, weight, padding="same", groups=3, algorithm="fft")
    assert y.shape == x.shape
    y.sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def explained(**options: Any) -> list[str]:
    """Forward, and back for x and for the weight."""
    x, weight = torch.empty(8, 4, 28, 28), torch.empty(4, 1, 13, 13)
    size, numbers = [28, 28], ([1, 1], [6, 6], [1, 1], 4, [], [], 0.0)
    y, w = torch.empty_like(x), [13, 13]
    device = torch.device("cuda")
    calls: list[tuple[str, Any]] = [
        ("fft_conv", (x, weight, size, *numbers)),
        ("fft_conv_adjoint", (y, weight, size, *numbers)),
        ("fft_conv_correlation", (x, y, w, *numbers)),
    ]
    return [
        " ".join([path[0], path[1][0]])
        for path in (convolution_path(name, arguments, device) for name, arguments in calls)
    ]


def test_explain_names_what_runs(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_answer", lambda question, _, *numbers: question(*numbers))
    assert explained() == [
        "fft_filter_padded kernel, plane form on a grid of 42 x 42 samples",
        "fft_filter_padded kernel, plane form on a grid of 42 x 42 samples",
        "spectral_correlation kernels, on padded planes on a grid of 36 x 36 samples",
    ]
    monkeypatch.setattr(_cuda, "kernels_on", lambda device: None)
    assert explained() == ["torch.fft composition on a grid of 36 x 36 samples"] * 3


@pytest.mark.parametrize(
    ("sides", "grid", "form"),
    [([28, 28], [42, 42], "plane"), ([28, 28], [36, 36], "lines"), ([50], [60], "lines")],
)
def test_explain_of_the_op_behind(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch, sides: Any, grid: Any, form: str
) -> None:
    monkeypatch.setattr(kernels, "_answer", lambda question, _, *numbers: question(*numbers))
    monkeypatch.setattr(_cuda, "KERNELS", kernels)
    with FakeTensorMode():
        x = torch.empty(4, *sides, device="cuda")
        response = torch.empty(*grid[:-1], grid[-1] // 2 + 1, device="cuda")
    op = torch.ops.freqops.fft_filter_padded
    found = freqops.explain(op, x, response, None, grid, sides)
    assert found.kernel == f"fused CUDA kernel, {form} form"
    assert freqops.explain(op, x.double(), response.double(), None, grid, sides).kernel == (
        "torch.fft composition"
    )
