"""low_high2d."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_isolates,
    assert_layout_of_input,
    assert_maps_over,
    assert_matches,
    assert_registered,
    layouts,
    placed,
)
from torch import Tensor

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")

OP = torch.ops.freqops.low_high


@pytest.mark.sanitizer
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int]) -> None:
    x = torch.randn(3, 3, *size, dtype=torch.float64)
    cutoffs = torch.tensor([0.0, 0.1, 0.25, 1.0], dtype=torch.float64)
    for options in ({}, {"kind": "gaussian"}, {"norm": "linf"}, {"unit": "bins"}):
        expected = reference.low_high2d(x, cutoffs, **options)
        for actual, wanted in zip(freqops.low_high2d(x, cutoffs, **options), expected, strict=True):
            assert_matches(actual, wanted, scale=4)
        single = freqops.low_high2d(x.float(), cutoffs, **options)
        for actual, wanted in zip(single, expected, strict=True):
            assert_matches(actual, wanted, scale=10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, 9, 14, dtype=torch.float64).to(dtype)
    expected = reference.low_high2d(values.double(), torch.tensor([0.1, 0.3]).double())
    for name, x in layouts(values):
        for actual, wanted in zip(freqops.low_high2d(x, [0.1, 0.3]), expected, strict=True):
            assert_layout_of_input(x, *actual)
            assert_matches(actual, wanted), name


@pytest.mark.sanitizer
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("cutoff", [0.2, [0.1, 0.3]], ids=str)
def test_writes_to_out(dtype: torch.dtype, cutoff: Any) -> None:
    for size in ((9, 14), (1, 5), (16, 16)):
        for name, x in layouts(torch.randn(3, 4, *size).to(dtype)):
            expected = freqops.low_high2d(x, cutoff)
            moved = [torch.empty_like(one).mT.contiguous().mT for one in expected]
            for out in (tuple(torch.empty_like(one) for one in expected), moved):
                result = freqops.low_high2d(x, cutoff, out=out)
                assert all(one is other for one, other in zip(result, out, strict=True))
                for one, other in zip(result, expected, strict=True):
                    torch.testing.assert_close(one, other, rtol=0, atol=0, msg=name)


def test_compiles_with_out() -> None:
    x = torch.randn(2, 3, 8, 10)
    pair = torch.empty(2, 2, 2, 3, 8, 10).unbind()
    pair = pair[0], pair[1].clone()
    assert_compiles(lambda x, a, b: freqops.low_high2d(x, [0.1, 0.3], out=(a, b)), (x, *pair))


@pytest.mark.parametrize(
    ("make_out", "error", "sentence"),
    [
        (lambda x: x, TypeError, "low_high2d: out must be a pair of tensors, got Tensor"),
        (lambda x: (x,), TypeError, "low_high2d: out must be a pair of tensors, got tuple"),
        (lambda x: (x, 1), TypeError, r"low_high2d: out\[1\] must be a Tensor, got int"),
        (lambda x: (x, x.half()), TypeError, r"out\[1\] must be torch.float32 like x"),
        (lambda x: (x[0], x), ValueError, r"out\[0\] must have shape \[2, 3, 7, 6\], got"),
        (lambda x: (x, x), ValueError, "out must be two tensors in memory of their own, got one"),
    ],
)
def test_rejects_out(make_out: Any, error: type[Exception], sentence: str) -> None:
    x = torch.randn(2, 3, 7, 6)
    with pytest.raises(error, match=sentence):
        freqops.low_high2d(x, 0.2, out=make_out(torch.empty_like(x)))


def test_rejects_out_that_is_x_or_where_gradients_are_recorded() -> None:
    x = torch.randn(2, 3, 7, 6)
    with pytest.raises(ValueError, match=r"out\[1\] must not share memory with x"):
        freqops.low_high2d(x, 0.2, out=(torch.empty_like(x), x))
    pair = torch.empty_like(x), torch.empty_like(x)
    with pytest.raises(ValueError, match=r"out\[0\] must be None where a gradient is recorded"):
        freqops.low_high2d(x.requires_grad_(), 0.2, out=pair)


def test_one_cutoff_has_no_axis_of_its_own() -> None:
    x = torch.randn(2, 3, 8, 10)
    low, high = freqops.low_high2d(x, 0.2)
    assert low.shape == high.shape == x.shape
    for one in (torch.tensor(0.2), 1):
        assert freqops.low_high2d(x, one)[0].shape == x.shape
    for several in ([0.2], (0.2,), torch.tensor([0.2])):
        lows, highs = freqops.low_high2d(x, several)
        assert lows.shape == highs.shape == (1, *x.shape)
        assert_matches(lows[0], low.double())
        assert_matches(highs[0], high.double())


def test_tensor_and_sequence_agree_bit_for_bit() -> None:
    """A float32 Tensor of cutoffs must not move a bin that a sequence of floats does not."""
    x = torch.randn(1, 32, 32)
    for unit, cutoffs in (("bins", [4.0, 8.0, 12.0]), ("cycles", [0.125, 0.25, 0.375])):
        from_list = freqops.low_high2d(x, cutoffs, unit=unit)  # type: ignore[arg-type]
        from_tensor = freqops.low_high2d(x, torch.tensor(cutoffs), unit=unit)  # type: ignore[arg-type]
        assert torch.equal(from_list[0], from_tensor[0])


@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    low, high = freqops.low_high2d(torch.zeros(shape), [0.1, 0.2])
    assert low.shape == high.shape == (2, *shape)


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 2, 7, 5), (17, 1, 6, 20)], ids=str)
def test_nonfinite_plane_stays_alone(shape: tuple[int, ...]) -> None:
    assert_isolates(lambda x: freqops.low_high2d(x, [0.1, 0.3]), shape, slabs=True)


@pytest.mark.parametrize("kind", ["gaussian", "butterworth"])
def test_gradients(kind: filters.Kind) -> None:
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    cutoffs = torch.tensor([0.15, 0.3], dtype=torch.float64)
    assert_differentiable(lambda x, c: freqops.low_high2d(x, c, kind=kind), x, cutoffs)
    assert_differentiable(lambda x, c: freqops.low_high2d(x, c, kind=kind)[1], x, cutoffs[0])
    assert_differentiable(lambda x: freqops.low_high2d(x, 0.2), x)


def test_gradients_per_channel() -> None:
    """The op itself takes a response per channel, though the function makes none."""
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    responses = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    assert_differentiable(lambda x, k: OP(x, k, 2), x, responses)


def test_maps() -> None:
    x = torch.randn(3, 2, 2, 4, 5, dtype=torch.float64)
    assert_maps_over(lambda x: freqops.low_high2d(x, [0.1, 0.2]), (x, [0, 2, -1]))
    cutoffs = torch.tensor([[0.1, 0.2], [0.15, 0.3], [0.25, 0.4]], dtype=torch.float64)
    assert_maps_over(
        lambda x, c: freqops.low_high2d(x, c, kind="gaussian"),
        (x, [None, 0, -1]),
        (cutoffs, [None, 0, 1]),
    )
    assert_maps_over(lambda c: freqops.low_high2d(x, c), (cutoffs[:, 0], [0]))


@pytest.mark.parametrize("channels", [(), (2,)])
def test_maps_over_responses(channels: tuple[int, ...]) -> None:
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    responses = torch.randn(3, 2, *channels, 4, 3, dtype=torch.float64)
    assert_maps_over(lambda x, k: OP(x, k, 2), (x, [None, 0, -1]), (responses, [None, 0, -1]))


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(2, 3, 6, 5, requires_grad=True), torch.randn(4, 6, 3), 2),
        (torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 3, requires_grad=True), 2),
        (torch.randn(2, 3, 6, 5).bfloat16(), torch.randn(2, 6, 3), 2),
        (torch.randn(2, 3, 6, 5).to(memory_format=torch.channels_last), torch.randn(2, 3), 1),
        (torch.randn(2, 3, 6, 10)[..., ::2], torch.randn(2, 6, 3), 2),
    ],
)
def test_registration(arguments: tuple[Any, ...]) -> None:
    assert_registered(OP.default, arguments)


def test_compiles() -> None:
    x, other = torch.randn(2, 3, 8, 10), torch.randn(3, 3, 12, 7)
    calls = [(x,), (other,), (other.to(memory_format=torch.channels_last),)]
    assert_compiles(lambda x: freqops.low_high2d(x, 0.2), *calls)
    assert_compiles(lambda x: freqops.low_high2d(x, [1, 3], unit="bins"), *calls)
    cutoffs = torch.tensor([0.1, 0.2])
    assert_compiles(
        lambda x, c: freqops.low_high2d(x, c, kind="gaussian"), (x, cutoffs), (other, cutoffs)
    )


X = torch.randn(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("cutoff", "options", "error", "sentence"),
    [
        (-1, {}, ValueError, "low_high2d: cutoff must not be negative or NaN, got -1"),
        (float("nan"), {}, ValueError, "low_high2d: cutoff must not be negative or NaN, got nan"),
        ([0.1, -0.2], {}, ValueError, "low_high2d: cutoff must not be negative or NaN, got -0.2"),
        (
            torch.tensor([0.5, -0.5]),
            {},
            ValueError,
            "low_high2d: cutoff must not be negative or NaN, got [0.5, -0.5]",
        ),
        ([], {}, ValueError, "low_high2d: cutoff must hold at least 1 number, got none"),
        (
            torch.ones(2, 2),
            {},
            ValueError,
            "low_high2d: cutoff must be one number or have shape [R], got [2, 2]",
        ),
        ("4", {}, TypeError, "low_high2d: cutoff must be a number or a Tensor, got str"),
        (None, {}, TypeError, "low_high2d: cutoff must be a number or a Tensor, got NoneType"),
        (
            0.1,
            {"kind": "box"},
            ValueError,
            "low_high2d: kind must be one of 'ideal', 'butterworth', 'gaussian', got 'box'",
        ),
        (
            0.1,
            {"norm": "l3"},
            ValueError,
            "low_high2d: norm must be one of 'l2', 'linf', 'l1', got 'l3'",
        ),
        (
            0.1,
            {"unit": "hertz"},
            ValueError,
            "low_high2d: unit must be one of 'cycles', 'nyquist', 'bins', got 'hertz'",
        ),
        (0.1, {"order": 0}, ValueError, "low_high2d: order must be at least 1, got 0"),
    ],
)
def test_rejects(
    cutoff: Any, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.low_high2d(placed(X), placed(cutoff), **options)
    assert str(caught.value) == sentence


def test_rejects_x() -> None:
    with pytest.raises(ValueError, match="low_high2d: x must have at least 2 dimensions, got 1"):
        freqops.low_high2d(X[0, 0, 0], 0.1)
    with pytest.raises(TypeError, match="low_high2d: x must be float32"):
        freqops.low_high2d(X.int(), 0.1)


# --- properties ---------------------------------------------------------------------------------

images = st.tuples(st.integers(1, 5), st.integers(1, 33), st.integers(1, 33)).map(
    lambda shape: torch.randn(shape, dtype=torch.float64)
)


@given(images, st.floats(0, 0.8))
def test_parts_add_up(x: Tensor, cutoff: float) -> None:
    low, high = freqops.low_high2d(x, cutoff)
    assert_matches(low + high, x)
    low, high = freqops.low_high2d(x.float(), cutoff)
    assert_matches(low + high, x, scale=2 * float(x.abs().max()))


@given(images, st.floats(0, 0.8))
def test_ideal_parts_are_orthogonal_projections(x: Tensor, cutoff: float) -> None:
    low, high = freqops.low_high2d(x, cutoff)
    assert abs(float((low * high).sum())) <= 1e-12 * x.numel()
    again, nothing = freqops.low_high2d(low, cutoff)
    assert_matches(again, low, scale=4)
    assert_matches(nothing, torch.zeros_like(x), scale=4)


@given(images, st.floats(0, 1), st.sampled_from(["l2", "linf", "l1"]))
def test_any_shape_matches_reference(x: Tensor, cutoff: float, norm: filters.Norm) -> None:
    expected = reference.low_high2d(x, cutoff, norm=norm)
    for actual, wanted in zip(freqops.low_high2d(x, cutoff, norm=norm), expected, strict=True):
        assert_matches(actual, wanted, scale=4)
