"""The CPU kernels of anti-aliased pooling over drawn arguments, against matrices in float64.

tests/ops asks what the operators promise; here the cuts inside the kernels are met: rings of rows
that wrap around, blocks of rows, groups of channels, tiles of long rows, more taps than one sum
"""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)

OPS = torch.ops.freqops
TOLERANCE = {
    torch.float32: 1e-6,
    torch.float64: 1e-14,
    torch.float16: 1e-3,
    torch.bfloat16: 6e-3,
}
MODES = ["reflect", "replicate", "zeros", "circular"]


class Axis(NamedTuple):
    size: int
    window: int
    max_padding: int
    taps: int
    stride: int
    before: int
    after: int

    @property
    def maxima(self) -> int:
        return self.size + 2 * self.max_padding - self.window + 1


@st.composite
def axes(draw: st.DrawFn, sizes: list[int]) -> Axis:
    window = draw(st.sampled_from([1, 1, 2, 3, 4]))
    max_padding = draw(st.integers(0, window // 2))
    size = draw(st.sampled_from([n for n in sizes if n + 2 * max_padding >= window]))
    taps = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 17]))
    padding = st.just(((taps - 1) // 2, taps // 2)) | st.tuples(*[st.integers(-2, taps + 2)] * 2)
    before, after = draw(padding)
    maxima = size + 2 * max_padding - window + 1
    after = max(after, taps - maxima - before)
    return Axis(size, window, max_padding, taps, draw(st.integers(1, 5)), before, after)


def source(position: int, size: int, mode: str) -> int | None:
    """Which sample stands at a position of a padded axis."""
    if 0 <= position < size:
        return position
    if mode == "replicate":
        return min(max(position, 0), size - 1)
    if mode == "circular":
        return position % size
    if mode == "reflect":
        if size == 1:
            return 0
        rest = position % (2 * (size - 1))
        return min(rest, 2 * (size - 1) - rest)
    return None


def matrix(axis: Axis, taps: Tensor, mode: str) -> Tensor:
    """[outputs, maxima] of the blur along one axis."""
    outputs = (axis.maxima + axis.before + axis.after - axis.taps) // axis.stride + 1
    result = torch.zeros(outputs, axis.maxima, dtype=torch.float64)
    for output in range(outputs):
        for tap in range(axis.taps):
            sample = source(output * axis.stride + tap - axis.before, axis.maxima, mode)
            if sample is not None:
                result[output, sample] += taps[tap].double()
    return result


def blurred(x: Tensor, h: Axis, w: Axis, taps_h: Tensor, taps_w: Tensor, mode: str) -> Tensor:
    if taps_h.dim() == 1:
        return matrix(h, taps_h, mode) @ x @ matrix(w, taps_w, mode).T
    channels = range(x.shape[1])
    parts = [blurred(x[:, c : c + 1], h, w, taps_h[c], taps_w[c], mode) for c in channels]
    return torch.cat(parts, 1)


def assert_close(actual: Tensor, expected: Tensor, like: Tensor) -> None:
    assert actual.dtype == like.dtype
    assert actual.shape == expected.shape
    error = float((actual.double() - expected).norm())
    assert error <= TOLERANCE[like.dtype] * float(expected.norm())


def check(x: Tensor, h: Axis, w: Axis, mode: str, per_channel: bool) -> None:
    """All five ops on one input; taps and images away from 0, so that no sum cancels."""
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    lead = (x.shape[1],) if per_channel else ()
    taps_h = torch.rand(*lead, h.taps, dtype=compute) + 0.1
    taps_w = torch.rand(*lead, w.taps, dtype=compute) + 0.1
    window, beside = (h.window, w.window), (h.max_padding, w.max_padding)
    blur = (taps_h, taps_w), ([h.stride, w.stride], [h.before, h.after, w.before, w.after], mode)
    pool = (*blur[0], window, beside, *blur[1])

    exact = x.double().requires_grad_()
    maxima, indices = F.max_pool2d(exact, window, 1, beside, return_indices=True)
    expected = blurred(maxima, h, w, taps_h, taps_w, mode)
    assert_close(OPS.max_blur_pool(x, *pool), expected, x)
    map_ = maxima.detach().to(x.dtype)
    if x.is_contiguous(memory_format=torch.channels_last):
        map_ = map_.contiguous(memory_format=torch.channels_last)
    y = OPS.blur_pool(map_, *blur[0], *blur[1])
    assert_close(y, expected, x)
    assert y.is_contiguous() or y.is_contiguous(memory_format=torch.channels_last)

    values, gradient = torch.rand_like(x), torch.rand_like(y)
    chosen = values.double().flatten(2).gather(2, indices.flatten(2)).view_as(indices)
    selected = blurred(chosen, h, w, taps_h, taps_w, mode)
    assert_close(OPS.max_blur_pool_select(x, values, *pool), selected, x)
    to_map, to_x = torch.autograd.grad(expected, (maxima, exact), gradient.double())
    assert_close(OPS.max_blur_pool_backward(x, gradient, *pool), to_x, x)
    size = list(maxima.shape[-2:])
    assert_close(OPS.blur_pool_adjoint(gradient, *blur[0], size, *blur[1]), to_map, x)


@settings(max_examples=150)
@given(
    h=axes([1, 2, 3, 5, 8, 13, 28, 33]),
    w=axes([1, 2, 3, 7, 8, 14, 16, 17, 31, 56, 112]),
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from(list(TOLERANCE)),
    channels=st.sampled_from([1, 2, 5, 16, 20]),
    per_channel=st.booleans(),
    channels_last=st.booleans(),
    ties=st.booleans(),
)
def test_small_planes(
    h: Axis,
    w: Axis,
    mode: str,
    dtype: torch.dtype,
    channels: int,
    per_channel: bool,
    channels_last: bool,
    ties: bool,
) -> None:
    x = torch.randn(2, channels, h.size, w.size, dtype=torch.float64) + 0.3
    x = (x.round() if ties else x).to(dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    check(x, h, w, mode, per_channel)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 3, 20000),  # rows in tiles
        (1, 3, 1500, 40),  # planes in parts
        (2, 600, 6, 7),  # channels in groups, the last of them narrower
        (1, 64, 40, 150),  # rows of pixels in tiles
    ],
)
@pytest.mark.parametrize("window", [1, 3])
def test_large_planes(mode: str, channels_last: bool, shape: tuple[int, ...], window: int) -> None:
    x = torch.rand(shape)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    rows, columns = (Axis(n, window, window // 2, 4, 2, 1, 2) for n in shape[2:])
    if shape[-1] > 5000:  # the reference's matrices grow with the square
        columns = columns._replace(stride=16)
    check(x, rows, columns, mode, per_channel=False)


def test_negative_infinity_has_a_first_place() -> None:
    """A window half outside the plane, all -inf inside: padding is no candidate."""
    x = torch.full((1, 1, 4, 5), -torch.inf)
    y = torch.ones(1, 1, 4, 5)
    one = torch.ones(1)
    pool = (one, one, [3, 3], [1, 1], [1, 1], [0, 0, 0, 0], "zeros")
    exact = x.double().requires_grad_()
    expected = torch.autograd.grad(F.max_pool2d(exact, 3, 1, 1), exact, y.double())[0]
    for layout in (torch.contiguous_format, torch.channels_last):
        actual = OPS.max_blur_pool_backward(x.contiguous(memory_format=layout), y, *pool)
        assert torch.equal(actual.double(), expected)


def test_nan_takes_the_maximum_and_its_gradient() -> None:
    x = torch.rand(1, 2, 9, 40)
    x[0, 0, 3, 17] = x[0, 0, 4, 18] = x[0, 1, 8, 39] = torch.nan
    one = torch.ones(1)
    pool = (one, one, [2, 2], [0, 0], [1, 1], [0, 0, 0, 0], "zeros")
    exact = x.double().requires_grad_()
    maxima = F.max_pool2d(exact, 2, 1)
    gradient = torch.rand_like(maxima)
    expected = torch.autograd.grad(maxima, exact, gradient)[0]
    for layout in (torch.contiguous_format, torch.channels_last):
        there = x.contiguous(memory_format=layout)
        assert torch.equal(OPS.max_blur_pool(there, *pool).isnan(), maxima.isnan())
        actual = OPS.max_blur_pool_backward(there, gradient.float(), *pool)
        torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("taps", [1, 3, 4, 6])
def test_narrow_planes_of_every_width(taps: int, mode: str) -> None:
    """Up to two vectors of columns, rows are summed in registers: every split of them."""
    for width in range(2, 35):
        rows, columns = (Axis(n, 2, 0, taps, 2, (taps - 1) // 2, taps // 2) for n in (5, width))
        check(torch.rand(1, 3, 5, width) + 0.1, rows, columns, mode, per_channel=width % 2 == 0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_where_its_taps_are(bad: float) -> None:
    """Lanes that only fill up a vector must not carry it elsewhere."""
    taps = torch.tensor([0.25, 0.5, 0.25])
    blur = (taps, taps, [2, 2], [1, 1, 1, 1], "reflect")
    for size in (7, 16, 30):
        x, y = torch.zeros(1, 1, size, size), torch.zeros(1, 1, (size + 1) // 2, (size + 1) // 2)
        x[..., 3, 4] = y[..., 1, 2] = bad
        there = ~OPS.blur_pool(x, *blur).isfinite()
        assert there.nonzero()[:, 2:].tolist() == [[1, 2], [2, 2]]
        back = ~OPS.blur_pool_adjoint(y, taps, taps, [size, size], *blur[2:]).isfinite()
        assert back.nonzero()[:, 2:].tolist() == [[r, c] for r in (1, 2, 3) for c in (3, 4, 5)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 7, 14, 16, 40, 256])
def test_every_half_value_survives(dtype: torch.dtype, width: int) -> None:
    """One tap of 1: widened, and rounded back to what it was; a NaN to some NaN."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    x = bits[: 2**16 // width * width].view(dtype).view(1, 1, -1, width)
    y = OPS.blur_pool(x, torch.ones(1), torch.ones(1), [1, 1], [0, 0, 0, 0], "zeros")
    assert torch.equal(y.isnan(), x.isnan())
    numbers = ~x.isnan() & (x != 0)  # the sum of 0 and -0 is 0
    assert torch.equal(y[numbers].view(torch.int16), x[numbers].view(torch.int16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("width", [7, 14, 40])
def test_halves_round_to_nearest_even(dtype: torch.dtype, width: int) -> None:
    x = (torch.randn(1, 4, 50, width) * torch.logspace(-9, 4, 50)[:, None]).to(dtype)
    weight = torch.tensor([1 / 3])
    y = OPS.blur_pool(x, weight, torch.ones(1), [1, 1], [0, 0, 0, 0], "zeros")
    assert torch.equal(y, (x.float() * weight).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_strides_of_thousands(dtype: torch.dtype) -> None:
    """A few outputs of a narrow plane, which yet are cut in tiles."""
    x = torch.rand(2, 3, 5, 20).to(dtype)
    check(x, Axis(5, 1, 0, 3, 2, 1, 1), Axis(20, 1, 0, 3, 5000, 1, 20000), "replicate", False)


@pytest.mark.parametrize("mode", MODES)
def test_padding_wider_than_a_tile(mode: str) -> None:
    """Tiles of nothing but padding, far from the samples that stand for it.

    In float64: thousands of terms meet in one sample of the gradient.
    """
    check(
        torch.rand(1, 2, 4, 13, dtype=torch.float64),
        Axis(4, 1, 0, 3, 1, 1, 1),
        Axis(13, 1, 0, 9, 5, 5, 20000),
        mode,
        False,
    )
