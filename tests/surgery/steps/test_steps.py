"""The steps: sizes of torch's pools, values of the formulas."""

from typing import Any

import hypothesis
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

from freqops import BlurPool2d, MaxBlurPool2d, blur_pool1d, blur_pool2d, polyphase_pool2d
from freqops.surgery.steps.blurs import axis_taps, blur
from freqops.surgery.steps.calls import ConvCall, InterpolateCall, PoolCall, RatioCall
from freqops.surgery.steps.polyphase import Polyphase, SharedIndex
from freqops.surgery.steps.pools import AverageBlur, MaxThenBlur, RatioPool, max_blur
from freqops.surgery.steps.window import Window, conv_window, pool_window


def window(
    kernel: int, stride: int, padding: int = 0, dilation: int = 1, ceil: bool = False, dims: int = 2
) -> Window:
    return Window((kernel,) * dims, (stride,) * dims, (padding,) * dims, (dilation,) * dims, ceil)


@st.composite
def pools(draw: st.DrawFn, dilated: bool) -> tuple[int, Window]:
    """A size and a pool torch accepts on it."""
    kernel = draw(st.integers(1, 5))
    dilation = draw(st.integers(1, 3)) if dilated else 1
    padding = draw(st.integers(0, kernel // 2))
    stride = draw(st.integers(2, 4))
    ceil = draw(st.booleans())
    reach = dilation * (kernel - 1) + 1
    least = max(1, reach - 2 * padding - (stride - 1 if ceil else 0))
    size = draw(st.integers(least, 40))
    return size, window(kernel, stride, padding, dilation, ceil, dims=1)


# --- sizes --------------------------------------------------------------------------------------


@hypothesis.given(pools(dilated=True), st.integers(1, 6))
def test_max_sizes(case: tuple[int, Window], taps: int) -> None:
    size, pool = case
    x = torch.randn(1, 2, size)
    k, s, p, d = (one[0] for one in (pool.kernel_size, pool.stride, pool.padding, pool.dilation))
    expected = F.max_pool1d(x, k, s, p, d, ceil_mode=pool.ceil_mode)
    assert max_blur(pool, axis_taps(taps, pool.stride), "reflect")(x).shape == expected.shape
    step = MaxThenBlur(pool, axis_taps(taps, pool.stride), "reflect")
    assert step(x).shape == expected.shape
    assert pool.outputs([size]) == list(expected.shape[2:])


@hypothesis.given(pools(dilated=False), st.integers(1, 6))
def test_average_sizes(case: tuple[int, Window], taps: int) -> None:
    size, pool = case
    x = torch.randn(1, 2, size)
    k, s, p = pool.kernel_size[0], pool.stride[0], pool.padding[0]
    expected = F.avg_pool1d(x, k, s, p, pool.ceil_mode)
    step = AverageBlur(pool, axis_taps(taps, pool.stride), "reflect")
    assert step(x).shape == expected.shape
    torch.testing.assert_close(step(torch.ones_like(x)), torch.ones_like(expected))


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [3, 4])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", [7, 8, 12, 13])
def test_max_then_blur_is_what_is_fused(size: int, ceil: bool, taps: int) -> None:
    pool = window(3, 2, 1, ceil=ceil)
    x = torch.randn(2, 3, size, size + 1)
    fused = max_blur(pool, axis_taps(taps, (2, 2)), "reflect")
    assert isinstance(fused, MaxBlurPool2d)
    torch.testing.assert_close(MaxThenBlur(pool, (taps, taps), "reflect")(x), fused(x))


def test_dilated_maximum() -> None:
    x = torch.randn(2, 3, 15, 16)
    step = max_blur(window(3, 2, 1, dilation=2), (3, 3), "replicate")
    expected = blur_pool2d(F.max_pool2d(x, 3, 1, 1, 2), 3, 2, padding_mode="replicate")
    torch.testing.assert_close(step(x), expected)


def test_maximum_along_one_axis() -> None:
    pool = pool_window({"kernel_size": (2, 1), "stride": None}, 2)
    x = torch.randn(2, 3, 9, 5)
    expected = blur_pool2d(F.max_pool2d(x, (2, 1), 1), (3, 1), (2, 1))
    torch.testing.assert_close(max_blur(pool, axis_taps(3, pool.stride), "reflect")(x), expected)


@pytest.mark.parametrize(("kernel", "taps", "before"), [(2, 4, 1), (3, 3, 0), (2, 2, 0), (4, 4, 0)])
def test_average_blur_is_centred(kernel: int, taps: int, before: int) -> None:
    """On a straight line every symmetric filter gives its centre: that of the average's window."""
    x = torch.arange(20.0).reshape(1, 1, 20)
    pool = window(kernel, 2, dims=1)
    y, average = AverageBlur(pool, (taps,), "replicate")(x), F.avg_pool1d(x, kernel, 2)
    torch.testing.assert_close(y[..., 1:-2], average[..., 1:-2])
    ends = (average.shape[-1] - 1) * 2 + taps - 20 - before
    expected = blur_pool1d(x, taps, 2, padding=[(before, ends)], padding_mode="replicate")
    torch.testing.assert_close(y, expected)


def test_average_of_two_is_where_zhang_has_it() -> None:
    """Three taps have no centre between two samples; on even sizes it is the plain blur."""
    x = torch.randn(2, 3, 8, 10)
    assert torch.equal(AverageBlur(window(2, 2), (3, 3), "reflect")(x), blur_pool2d(x))


def test_padding_of_an_average_moves_its_windows() -> None:
    x = torch.arange(20.0).reshape(1, 1, 20)
    y = AverageBlur(window(3, 2, 1, dims=1), (3,), "reflect")(x)
    torch.testing.assert_close(y[..., 1:-1], F.avg_pool1d(x, 3, 2, 1)[..., 1:-1])


@pytest.mark.parametrize("padding", [0, 1])
def test_average_along_an_axis_of_stride_1_stays(padding: int) -> None:
    pool = pool_window({"kernel_size": 3, "stride": (2, 1), "padding": (1, padding)}, 2)
    x = torch.randn(2, 3, 8, 9)
    step = AverageBlur(pool, axis_taps(3, pool.stride), "reflect", count_include_pad=False)
    rows = F.avg_pool2d(x, (1, 3), 1, (0, padding), count_include_pad=False)
    torch.testing.assert_close(step(x), blur_pool2d(rows, (3, 1), (2, 1)))
    assert step(x).shape == F.avg_pool2d(x, 3, (2, 1), (1, padding)).shape


def test_window_steps_compile() -> None:
    steps = [
        MaxThenBlur(window(3, 2, 1, 2, True), (3, 3), "reflect"),
        AverageBlur(window(3, 2), (3, 3), "reflect"),
    ]
    for step in steps:
        compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
        for size in (11, 14):
            x = torch.randn(1, 2, size, size)
            torch.testing.assert_close(compiled(x), step(x))


# --- taps ---------------------------------------------------------------------------------------


def test_taps_of_strides() -> None:
    assert axis_taps(3, (2, 1)) == (3, 1)
    (three,) = axis_taps(3, (3,))
    assert isinstance(three, Tensor)
    torch.testing.assert_close(three, torch.tensor([1.0, 2, 3, 2, 1]) / 9)
    (four,) = axis_taps(2, (4,))
    assert isinstance(four, Tensor)
    torch.testing.assert_close(four, torch.full((4,), 0.25))
    own = torch.tensor([0.5, 0.5])
    assert axis_taps((own, 5), (4, 2)) == (own, 5)
    with pytest.raises(
        ValueError, match="one for all axes or one per axis, got 2 for a site with 1"
    ):
        axis_taps((3, 5), (2,))


@pytest.mark.parametrize("stride", [2, 3, 4, 5])
def test_what_folds_onto_a_constant_is_removed(stride: int) -> None:
    """cos(2 pi m n / s) is sampled as a constant; the blur leaves nothing of it."""
    n = torch.arange(60, dtype=torch.float64)
    step = blur(axis_taps(3, (stride,)), (stride,), "circular")
    for m in range(1, stride):
        x = torch.cos(2 * torch.pi * m * n / stride).reshape(1, 1, 60)
        assert step(x).abs().max() < 1e-6
    torch.testing.assert_close(step(torch.ones(1, 1, 60)), torch.ones(1, 1, 60 // stride))


# --- polyphase ----------------------------------------------------------------------------------


def test_polyphase_shares_its_index() -> None:
    shared = SharedIndex()
    first, second = Polyphase(1, "reflect", shared), Polyphase(3, "zeros", shared, leads=False)
    x, z = torch.randn(5, 3, 8, 8), torch.randn(5, 2, 8, 8)
    y, index = polyphase_pool2d(x)
    assert len(set(index.tolist())) > 1
    assert torch.equal(first(x), y)
    expected, _ = polyphase_pool2d(z, 3, padding_mode="zeros", index=index)
    assert torch.equal(second(z), expected)


def test_polyphase_that_follows_nobody() -> None:
    with pytest.raises(RuntimeError, match="the branch that picks the samples"):
        Polyphase(1, "reflect", SharedIndex(), leads=False)(torch.randn(1, 1, 4, 4))


# --- calls --------------------------------------------------------------------------------------


class Zero(nn.Module):
    """Whatever comes out of it, it was asked."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(1)


def test_pool_call() -> None:
    x = torch.randn(1, 2, 9, 9)
    call = PoolCall("max_pool2d", window(3, 2, 1), Zero())
    assert call(x, 3, 2, 1).numel() == 1
    assert call(input=x, kernel_size=(3, 3), stride=[2, 2], padding=1).numel() == 1
    for arguments in (
        {"padding": 0},
        {"stride": 3, "padding": 1},
        {"padding": 1, "ceil_mode": True},
    ):
        full: dict[str, Any] = {"stride": 2, **arguments}
        assert torch.equal(call(x, 3, **full), F.max_pool2d(x, 3, **full))
    values, indices = call(x, 3, 2, 1, return_indices=True)
    assert values.shape == indices.shape


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_average_call(dims: int) -> None:
    x = torch.randn(1, 2, *[8] * dims)
    function = getattr(F, f"avg_pool{dims}d")
    call = PoolCall(f"avg_pool{dims}d", window(2, 2, dims=dims), Zero())
    assert call(x, 2).numel() == 1
    assert torch.equal(call(x, 4), function(x, 4))
    assert torch.equal(call(x, 4, 2, 1, True, False), function(x, 4, 2, 1, True, False))
    if dims > 1:
        other = function(x, 2, divisor_override=3)
        assert torch.equal(call(x, 2, divisor_override=3), other)


def test_conv_call() -> None:
    x, weight, bias = torch.randn(1, 2, 9, 9), torch.randn(4, 2, 3, 3), torch.randn(4)
    known = conv_window({"stride": 2, "padding": 1}, (3, 3))
    call = ConvCall("conv2d", known, None, BlurPool2d(), (1, 1))
    expected = blur_pool2d(F.conv2d(x, weight, bias, 1, 1))
    assert torch.equal(call(x, weight, bias, 2, 1), expected)
    assert torch.equal(call(x, weight, bias, stride=(2, 2), padding=(1, 1)), expected)
    assert torch.equal(call(x, weight, bias, 3, 1), F.conv2d(x, weight, bias, 3, 1))
    before = ConvCall("conv2d", conv_window({"stride": 2}, (1, 1)), BlurPool2d(), None, (1, 1))
    point = weight[..., :1, :1]
    assert torch.equal(before(x, point, None, 2), F.conv2d(blur_pool2d(x), point))


def test_ratio_call() -> None:
    step = RatioPool("adaptive_avg_pool2d", (4, None), (2, 1), Zero())
    assert step(torch.randn(1, 2, 8, 5)).numel() == 1
    x = torch.randn(1, 2, 9, 5)
    assert torch.equal(step(x), F.adaptive_avg_pool2d(x, (4, None)))
    call = RatioCall(step)
    assert call(torch.randn(1, 2, 8, 5), output_size=(4, None)).numel() == 1
    assert torch.equal(call(x, 3), F.adaptive_avg_pool2d(x, 3))


def test_interpolate_call() -> None:
    call = InterpolateCall((2, 2), "bilinear", Zero())
    x = torch.randn(1, 2, 8, 8)
    assert call(x, scale_factor=0.5, mode="bilinear").numel() == 1
    assert call(x, (4, 4), mode="bilinear").numel() == 1
    cases: list[dict[str, Any]] = [
        {"scale_factor": 0.5},
        {"scale_factor": 0.25, "mode": "bilinear"},
        {"size": 3, "mode": "bilinear"},
        {"scale_factor": 0.4, "mode": "bilinear"},
        {"size": 16, "mode": "bilinear"},
        {"size": 4, "mode": "bilinear", "align_corners": True},
        {"size": 4, "mode": "bilinear", "antialias": True},
    ]
    for arguments in cases:
        assert torch.equal(call(x, **arguments), F.interpolate(x, **arguments))
    odd = torch.randn(1, 2, 9, 8)
    halved: dict[str, Any] = {"scale_factor": 0.5, "mode": "bilinear"}
    assert torch.equal(call(odd, **halved), F.interpolate(odd, **halved))
