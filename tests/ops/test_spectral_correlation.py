"""spectral_correlation: the gradient of a response, called as the ops' backward does."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    LENGTHS,
    SIZES,
    assert_differentiable,
    assert_maps_over,
    assert_matches,
    assert_registered,
    half_size,
    layouts,
)

from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

OP = torch.ops.freqops.spectral_correlation


@pytest.mark.sanitizer
@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference_2d(size: tuple[int, int], channels: int) -> None:
    x, y = torch.randn(2, 5, 3, *size, dtype=torch.float64)
    expected = reference.spectral_correlation(x, y, channels, 2)
    scale = 10 + float(expected[0].abs().max())
    for actual, wanted in zip(OP(x, y, channels, 2), expected, strict=True):
        assert_matches(actual, wanted, scale)
    for actual, wanted in zip(OP(x.float(), y.float(), channels, 2), expected, strict=True):
        assert_matches(actual, wanted, 4 * scale)


@pytest.mark.sanitizer
@pytest.mark.parametrize("channels", [0, 4])
@pytest.mark.parametrize("length", LENGTHS)
def test_matches_reference_1d(length: int, channels: int) -> None:
    x, y = torch.randn(2, 3, 4, length, dtype=torch.float64)
    expected = reference.spectral_correlation(x, y, channels, 1)
    for actual, wanted in zip(OP(x, y, channels, 1), expected, strict=True):
        assert_matches(actual, wanted, 10 + float(wanted.abs().max()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sums_in_the_compute_dtype(dtype: torch.dtype) -> None:
    """The result has it too: half a batch's sum must not be rounded to half precision."""
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    values, other = torch.randn(2, 6, 4, 9, 14).to(dtype)
    expected = reference.spectral_correlation(values.double(), other.double(), 4, 2)
    for name, x in layouts(values):
        for actual, wanted in zip(OP(x, other, 4, 2), expected, strict=True):
            assert actual.dtype == compute
            assert_matches(actual, wanted, 4 * float(wanted.abs().max())), name


@pytest.mark.parametrize("channels", [0, 3])
def test_sum_over_nothing_is_zero(channels: int) -> None:
    x = torch.zeros(0, 3, 5, 6)
    for part in OP(x, x, channels, 2):
        assert part.shape == ((3,) if channels else ()) + (5, 4)
        assert not part.any()


@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("size", [(3, 4), (4, 3)], ids=str)
def test_gradients(size: tuple[int, int], channels: int) -> None:
    x, y = torch.randn(2, 2, 2, *size, dtype=torch.float64)
    assert_differentiable(lambda x, y: OP(x, y, channels, 2), x, y)
    assert_differentiable(lambda x, y: OP(x, y, channels, 2)[1], x, y)
    rows = size[0] if channels else 0
    assert_differentiable(lambda x, y: OP(x, y, rows, 1)[0], x[0], y[0])


@pytest.mark.parametrize("channels", [0, 2])
def test_maps(channels: int) -> None:
    x, y = torch.randn(2, 3, 4, 2, 4, 5, dtype=torch.float64)
    assert_maps_over(lambda x, y: OP(x, y, channels, 2), (x, [None, 0, 1, -1]), (y, [None, 0, -1]))


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(2, 3, 6, 5, requires_grad=True), torch.randn(2, 3, 6, 5), 3, 2),
        (torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 5, requires_grad=True), 0, 2),
        (torch.randn(2, 3, 8).half(), torch.randn(2, 3, 8).half(), 3, 1),
    ],
)
def test_registration(arguments: tuple[Any, ...]) -> None:
    assert_registered(OP.default, arguments)


def test_repeats_bit_for_bit() -> None:
    """The order of summation must not depend on which thread comes first."""
    x, y = torch.randn(2, 61, 3, 14, 15)
    first = OP(x, y, 3, 2)
    for _ in range(5):
        for actual, expected in zip(OP(x, y, 3, 2), first, strict=True):
            assert torch.equal(actual, expected)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 24), st.integers(1, 24)),
    st.booleans(),
)
def test_is_the_gradient_of_the_filter(shape: tuple[int, ...], per_channel: bool) -> None:
    """<S(x, y), v> = <y, F(x, v)> for every response v, which is what a gradient is."""
    x, y = torch.randn(2, *shape, dtype=torch.float64)
    channels = shape[1] if per_channel else 0
    half = half_size(shape[-2:])
    real, imag = torch.randn(2, *((channels,) if channels else ()), *half, dtype=torch.float64)
    d_real, d_imag = OP(x, y, channels, 2)
    forth = (d_real * real + d_imag * imag).sum()
    back = (y * reference.fft_filter2d(x, torch.complex(real, imag))).sum()
    assert abs(forth - back) <= 1e-12 * x.numel()
