"""split_bands2d."""

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
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

OP = torch.ops.freqops.split_bands


@pytest.mark.sanitizer
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int]) -> None:
    x = torch.randn(3, 3, *size, dtype=torch.float64)
    for cutoffs, options in (
        ([0.1], {}),
        ([0.1, 0.1, 0.3], {"inclusive": True}),
        ([1, 2, 5], {"unit": "bins", "norm": "linf"}),
    ):
        expected = reference.split_bands2d(x, cutoffs, **options)  # type: ignore[arg-type]
        bands = freqops.split_bands2d(x, cutoffs, **options)  # type: ignore[arg-type]
        assert_matches(bands, expected, scale=4)
        single = freqops.split_bands2d(x.float(), cutoffs, **options)  # type: ignore[arg-type]
        assert_matches(single, expected, scale=10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, 9, 14, dtype=torch.float64).to(dtype)
    expected = reference.split_bands2d(values.double(), [0.1, 0.3])
    for name, x in layouts(values):
        bands = freqops.split_bands2d(x, [0.1, 0.3])
        assert_layout_of_input(x, *bands)
        assert_matches(bands, expected), name


@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    assert freqops.split_bands2d(torch.zeros(shape), [0.1, 0.2]).shape == (3, *shape)


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 2, 7, 5), (17, 1, 6, 20)], ids=str)
def test_nonfinite_plane_stays_alone(shape: tuple[int, ...]) -> None:
    assert_isolates(lambda x: freqops.split_bands2d(x, [0.1, 0.3]), shape, slabs=True)


def test_gradients() -> None:
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    assert_differentiable(lambda x: freqops.split_bands2d(x, [0.1, 0.3]), x)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_gradients_and_maps_over_responses(channels: tuple[int, ...]) -> None:
    """The op itself is differentiable in its responses, though ideal bands have no gradient."""
    x = torch.randn(3, 2, 3, 4, dtype=torch.float64)
    responses = torch.randn(3, 2, *channels, 3, 3, dtype=torch.float64)
    assert_differentiable(lambda x, k: OP(x, k, 2), x, responses[0])
    assert_maps_over(lambda x, k: OP(x, k, 2), (x, [None, 0, -1]), (responses, [None, 0, -1]))


def test_maps() -> None:
    x = torch.randn(3, 2, 2, 4, 5, dtype=torch.float64)
    assert_maps_over(lambda x: freqops.split_bands2d(x, [0.1, 0.2]), (x, [0, 2, -1]))


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
    assert_compiles(lambda x: freqops.split_bands2d(x, [0.1, 0.2]), *calls)


X = torch.randn(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("cutoffs", "sentence"),
    [
        ([0.2, 0.1], "split_bands2d: cutoffs must be ascending, got [0.2, 0.1]"),
        (torch.tensor([2.0, 1.0]), "split_bands2d: cutoffs must be ascending, got [2.0, 1.0]"),
        ([], "split_bands2d: cutoffs must hold at least 1 number, got none"),
        ([-1.0], "split_bands2d: cutoffs must not be negative or NaN, got -1.0"),
    ],
)
def test_rejects(cutoffs: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="split_bands2d") as caught:
        freqops.split_bands2d(placed(X), placed(cutoffs))
    assert str(caught.value) == sentence


def test_rejects_x_and_options() -> None:
    with pytest.raises(ValueError, match="split_bands2d: unit must be one of"):
        freqops.split_bands2d(X, [0.1], unit="pixels")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="split_bands2d: x must be a Tensor"):
        freqops.split_bands2d(None, [0.1])  # type: ignore[arg-type]


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 33), st.integers(1, 33)),
    st.lists(st.floats(0, 0.8), min_size=1, max_size=4).map(sorted),
)
def test_bands_add_up_and_share_nothing(shape: tuple[int, ...], cutoffs: list[float]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    bands = freqops.split_bands2d(x, cutoffs)
    assert_matches(bands.sum(0), x)
    products = torch.einsum("anhw,bnhw->ab", bands, bands)
    off_diagonal = products - products.diag().diag()
    assert float(off_diagonal.abs().max()) <= 1e-12 * x.numel()
    assert_matches(freqops.split_bands2d(x.float(), cutoffs).sum(0), x, scale=8)


def test_bands_of_one_cutoff_are_low_and_high() -> None:
    x = torch.randn(2, 3, 16, 12)
    low, high = freqops.low_high2d(x, 0.2)
    bands = freqops.split_bands2d(x, [0.2])
    assert_matches(bands[0], low.double())
    assert_matches(bands[1], high.double())


def test_tensor_of_cutoffs() -> None:
    x: Tensor = torch.randn(2, 32, 32)
    assert torch.equal(
        freqops.split_bands2d(x, torch.tensor([4.0, 8.0]), unit="bins"),
        freqops.split_bands2d(x, [4, 8], unit="bins"),
    )
