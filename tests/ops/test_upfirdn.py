"""upfirdn2d."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    assert_compiles,
    assert_differentiable,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    layouts,
    placed,
)
from scipy import signal
from torch import Tensor

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
FILTERS: dict[str, Any] = {
    "none": None,
    "separable": torch.randn(4, dtype=DOUBLE),
    "pair": (torch.randn(3, dtype=DOUBLE), torch.randn(1, dtype=DOUBLE)),
    "pair per channel": (torch.randn(3, 2, dtype=DOUBLE), torch.randn(5, dtype=DOUBLE)),
    "plane": torch.randn(2, 5, dtype=DOUBLE),
    "plane per channel": torch.randn(3, 3, 2, dtype=DOUBLE),
}
every_filter = pytest.mark.parametrize("f", FILTERS.values(), ids=FILTERS)
FACTORS = [(1, 1), (2, 1), (1, 2), (3, 2), ((1, 2), (2, 1)), ((2, 3), (1, 4))]
PADDINGS: list[Any] = [4, (4, 6), [6, 5, 7, 4], [-1, 8, 9, -2]]


@every_filter
@pytest.mark.parametrize(("up", "down"), FACTORS)
def test_matches_reference(up: Any, down: Any, f: Any) -> None:
    f = placed(f)
    for size in ((1, 1), (3, 2), (7, 8)):
        x = torch.randn(2, 3, *size, dtype=DOUBLE)
        for padding in PADDINGS[: 4 if min(size) > 2 else 3]:
            for flip in (False, True):
                arguments = (f, up, down, padding, flip, 1.5)
                y = freqops.upfirdn2d(x, *arguments)
                assert_matches(y, reference.upfirdn2d(x, *arguments), scale=10)


@given(
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_is_what_scipy_computes(length: int, count: int, up: int, down: int) -> None:
    """scipy pads by count - 1 zeros, and leaves out the zeros after the last sample."""
    x, taps = torch.randn(length, dtype=DOUBLE), torch.randn(count, dtype=DOUBLE)
    expected = signal.upfirdn(taps.cpu().numpy(), x.cpu().numpy(), up, down)
    after = count - up
    y = freqops.upfirdn2d(
        x[None], (taps, torch.ones(1)), (up, 1), (down, 1), [count - 1, after, 0, 0]
    )
    assert_matches(y[0], torch.from_numpy(expected).to(y), scale=10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("f", [torch.rand(4), torch.rand(4, 4)], ids=["separable", "plane"])
def test_matches_reference_in_every_dtype_and_layout(f: Tensor, dtype: torch.dtype) -> None:
    """Half types round once, also where two kernels run."""
    f = placed(f)
    values = torch.randn(2, 3, 9, 14, dtype=DOUBLE).to(dtype)
    for up, down in ((2, 1), (1, 2), (3, 2)):
        expected = reference.upfirdn2d(values.double(), f, up, down, 3, gain=2)
        for _, x in layouts(values):
            y = freqops.upfirdn2d(x, f, up, down, 3, gain=2)
            assert_pooled_layout(x, y)
            assert_matches(y, expected, scale=2 * float(expected.abs().max()))


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 1, 3, 4, 5, 6)], ids=str)
def test_takes_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=DOUBLE)
    for f in (torch.rand(3, dtype=DOUBLE), torch.rand(3, 2, dtype=DOUBLE)):
        expected = reference.upfirdn2d(x.reshape(-1, 1, 5, 6), f, 2, 1, 2)
        y = freqops.upfirdn2d(x, f, 2, 1, 2)
        assert_matches(y, expected.reshape(*shape[:-2], *expected.shape[-2:]))


def test_takes_empty_batches() -> None:
    for f in (torch.ones(3), torch.ones(3, 3)):
        assert freqops.upfirdn2d(torch.zeros(0, 3, 5, 6), f, 2, 1, 1).shape == (0, 3, 10, 12)


@every_filter
@pytest.mark.parametrize(("up", "down"), [(2, 1), (1, 2), (3, (2, 1))])
def test_gradients(up: Any, down: Any, f: Any) -> None:
    x = torch.randn(2, 3, 3, 4, dtype=DOUBLE)
    f = placed(f)
    taps = () if f is None else (f,) if isinstance(f, Tensor) else f

    def filtered(x: Tensor, *taps: Tensor) -> Tensor:
        own = None if not taps else taps[0] if len(taps) == 1 else taps
        return freqops.upfirdn2d(x, own, up, down, [4, 3, 5, 2], False, 1.5)

    assert_differentiable(filtered, x, *taps)


def test_maps() -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    taps = torch.randn(3, 3, dtype=DOUBLE)
    assert_maps_over(
        lambda x, taps: freqops.upfirdn2d(x, taps, 2, 1, 2), (x, [None, 0, -1]), (taps, [None, 0])
    )


def test_compiles() -> None:
    calls = [(torch.randn(shape),) for shape in ((2, 3, 8, 10), (3, 4, 12, 7), (3, 4, 5, 5))]
    separable, plane = torch.rand(4), torch.rand(4, 4)
    for f, up, down in ((separable, 2, 1), (plane, 1, 2), (separable, 3, 2)):
        assert_compiles(
            lambda x, f=f, up=up, down=down: freqops.upfirdn2d(x, f, up, down, 3), *calls
        )


@pytest.mark.parametrize("f", [torch.rand(4), torch.rand(4, 4)], ids=["separable", "plane"])
def test_autocast_changes_nothing(f: Tensor) -> None:
    x, f = torch.randn(2, 3, 8, 8), placed(f)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = freqops.upfirdn2d(x, f, 2, 1, 3)
    assert torch.equal(y, freqops.upfirdn2d(x, f, 2, 1, 3))


def test_a_pair_of_filters_is_their_outer_product() -> None:
    x = torch.randn(2, 3, 9, 10, dtype=DOUBLE)
    across, down = torch.randn(4, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)
    for factors in FACTORS:
        apart = freqops.upfirdn2d(x, (across, down), *factors, 5)
        together = freqops.upfirdn2d(x, torch.outer(down, across), *factors, 5)
        assert_matches(apart, together)


def test_up_and_down_are_transposes() -> None:
    """Down with mirrored taps undoes up, sample for sample of the inner product."""
    taps = torch.randn(5, dtype=DOUBLE)
    x = torch.randn(2, 3, 6, 7, dtype=DOUBLE)
    y = freqops.upfirdn2d(x, taps, 2, 1, 4)
    z = torch.randn_like(y)
    back = freqops.upfirdn2d(z, taps, 1, 2, 0, True)
    assert back.shape == x.shape
    assert_matches((y * z).sum()[None], (x * back).sum()[None], scale=1e3)


def test_interpolation_keeps_a_constant() -> None:
    x = torch.ones(1, 1, 8, 8)
    y = freqops.upfirdn2d(x, filters.binomial_taps(4), 2, 1, (2, 1, 2, 1), gain=4)
    assert y.shape == (1, 1, 16, 16)
    assert torch.equal(y[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 14))


X, F = torch.randn(2, 3, 6, 5), torch.rand(4)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((X.int(), F), TypeError, "x must be float32, float64, float16 or bfloat16"),
        ((X, 3), TypeError, "f must be a floating-point Tensor or None, got int"),
        ((X, F.int()), TypeError, "f must be a floating-point Tensor or None, got torch.int32"),
        (
            (X, torch.ones(0)),
            ValueError,
            "f must have shape [k], [k_y, k_x] or [C, k_y, k_x], ",
        ),
        ((X, (F, F, F)), ValueError, "f must be a Tensor or a pair (x, y), got 3"),
        ((X, (F, torch.ones(2, 2))), ValueError, "x must have shape [..., 2, H, W] for f of 2 ch"),
        (
            (X, torch.ones(2, 2, 2)),
            ValueError,
            "x must have shape [..., 2, H, W] for f of 2 channel",
        ),
        ((X, F.to("meta")), ValueError, "f must be on cpu like x, got meta"),
        ((X, F, 0), ValueError, "up must be at least 1, got 0"),
        ((X, F, 1, (1, 2, 3)), ValueError, "down must be one integer or 2, one per axis, got 3"),
        ((X, F, 1, 1, 0.5), TypeError, "padding must be an integer, got float"),
        ((X, F, 1, 1, (1, 2, 3)), ValueError, "padding must be one integer, (x, y) or (x0, x1"),
        ((X, F, 1, 1, -1), ValueError, "padding must leave at least 4 samples for 4 taps, got 3"),
        ((X, F, 1, 1, 0, False, "2"), TypeError, "gain must be a number, got str"),
    ],
)
def test_rejects(arguments: tuple[Any, ...], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.upfirdn2d(*placed(arguments))
    sentence = sentence.replace("on cpu", f"on {placed(X).device}")
    assert str(caught.value).startswith(f"upfirdn2d: {sentence}")
