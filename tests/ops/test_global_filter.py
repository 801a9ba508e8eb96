"""GlobalFilter1d/2d."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import assert_compiles, assert_differentiable, assert_matches

import freqops
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

SIDES = [1, 2, 3, 4, 5, 8, 9]


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (8, 3)], ids=str)
def test_matches_reference(size: tuple[int, int]) -> None:
    layer = freqops.GlobalFilter2d(3, size).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    response = torch.view_as_complex(layer.weight)
    assert_matches(layer(x), reference.fft_filter2d(x, response))


@pytest.mark.parametrize("new", SIDES)
@pytest.mark.parametrize("old", SIDES)
def test_other_lengths_crop_or_pad_the_spectrum(old: int, new: int) -> None:
    layer = freqops.GlobalFilter1d(2, old).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(3, 2, new, dtype=torch.float64)
    response = torch.view_as_complex(layer.weight)
    resized = reference.resized_response(response, (old,), (new,))
    assert_matches(layer(x), reference.fft_filter1d(x, resized), scale=10)


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_other_sizes_crop_or_pad_the_spectrum(old: tuple[int, int], new: tuple[int, int]) -> None:
    layer = freqops.GlobalFilter2d(2, old).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(3, 2, *new, dtype=torch.float64)
    resized = reference.resized_response(torch.view_as_complex(layer.weight), old, new)
    assert_matches(layer(x), reference.fft_filter2d(x, resized), scale=20)


def test_starts_near_the_identity() -> None:
    layer = freqops.GlobalFilter2d(16, 32)
    deviation = layer.weight.detach() - torch.tensor([1.0, 0.0])
    assert 0.019 < float(deviation.std()) < 0.021
    assert abs(float(deviation.mean())) < 1e-3
    x = torch.randn(2, 16, 32, 32)
    assert float((layer(x) - x).std()) < 0.05


@pytest.mark.parametrize("size", [(3, 4), (4, 3)], ids=str)
def test_gradients(size: tuple[int, int]) -> None:
    layer = freqops.GlobalFilter2d(2, (3, 4)).double()
    weight = layer.weight.detach()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    assert_differentiable(
        lambda x, w: torch.func.functional_call(layer, {"weight": w}, (x,)), x, weight
    )


def test_compiles() -> None:
    layer = freqops.GlobalFilter2d(3, (8, 10))
    assert_compiles(layer, (torch.randn(2, 3, 8, 10),), (torch.randn(1, 3, 9, 6),))


def test_half_types_keep_float32_weights() -> None:
    layer = freqops.GlobalFilter2d(3, 8)
    x = torch.randn(2, 3, 8, 8).bfloat16().requires_grad_()
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = layer(x)
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_state_and_repr() -> None:
    layer = freqops.GlobalFilter2d(3, 8)
    assert layer.weight.shape == (3, 8, 5, 2)
    assert repr(layer) == "GlobalFilter2d(channels=3, size=(8, 8))"
    assert repr(freqops.GlobalFilter1d(3, 8)) == "GlobalFilter1d(channels=3, size=8)"
    other = freqops.GlobalFilter2d(3, 8)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(layer(x), other(x))


@pytest.mark.parametrize(
    ("channels", "size", "error", "sentence"),
    [
        (0, 8, ValueError, "GlobalFilter2d: channels must be at least 1, got 0"),
        (3, (8, 0), ValueError, "GlobalFilter2d: size must be at least 1, got 0"),
        (3, (8, 8, 8), ValueError, "GlobalFilter2d: size must be one number or (H, W)"),
        (3, 8.0, TypeError, "GlobalFilter2d: size must be an integer, got float"),
    ],
)
def test_rejects(channels: int, size: int, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.GlobalFilter2d(channels, size)
    assert str(caught.value).startswith(sentence)


def test_rejects_other_channels() -> None:
    layer = freqops.GlobalFilter2d(3, 8)
    with pytest.raises(
        ValueError, match=r"x must have shape \[\.\.\., 3, H, W\], got \[2, 4, 8, 8\]"
    ):
        layer(torch.randn(2, 4, 8, 8))
    with pytest.raises(
        ValueError, match="GlobalFilter2d: x must have at least 3 dimensions, got 2"
    ):
        layer(torch.randn(8, 8))
