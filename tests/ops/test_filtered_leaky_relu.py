"""filtered_leaky_relu2d and its module."""

from typing import Any

import pytest
import torch
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
from torch import Tensor

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
CASES: list[dict[str, Any]] = [
    {},
    {"up": 2, "down": 2, "padding": [9, 8, 9, 8]},
    {"up": (2, 3), "down": (1, 2), "padding": (7, 8), "gain": 1.3, "slope": 0.0},
    {"up": 2, "padding": 6, "clamp": 0.25, "flip_filter": True},
    {"up": 2, "padding": [-1, 8, 9, 2], "slope": -0.5, "clamp": 0.0},
    {"up": 2, "down": 2, "padding": 5, "gain": -0.7},
]


@pytest.mark.parametrize("options", CASES, ids=range(len(CASES)))
def test_matches_reference(options: dict[str, Any]) -> None:
    x, bias = torch.randn(2, 3, 6, 7, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)
    separable, plane = torch.randn(4, dtype=DOUBLE), torch.randn(3, 2, dtype=DOUBLE)
    pair = (torch.randn(3, dtype=DOUBLE), torch.randn(3, 3, dtype=DOUBLE))
    for fu, fd in ((None, None), (separable, plane), (plane, separable), (pair, pair)):
        for own_bias in (None, bias):
            y = freqops.filtered_leaky_relu2d(x, fu, fd, own_bias, **options)
            expected = reference.filtered_leaky_relu2d(x, fu, fd, own_bias, **options)
            assert_matches(y, expected, scale=1 + 10 * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    """Half types round once, at the end of all four steps."""
    taps = filters.kaiser_taps(12, 0.25)
    values = torch.randn(2, 3, 9, 14, dtype=DOUBLE).to(dtype)
    bias = torch.randn(3)
    options: dict[str, Any] = {"up": 2, "down": 2, "padding": 11, "clamp": 2.0}
    expected = reference.filtered_leaky_relu2d(values.double(), taps, taps, bias, **options)
    for _, x in layouts(values):
        y = freqops.filtered_leaky_relu2d(x, taps, taps, bias, **options)
        assert_pooled_layout(x, y)
        assert_matches(y, expected, scale=2 * float(expected.abs().max()))


def test_gradients() -> None:
    x, bias = torch.randn(1, 2, 3, 4, dtype=DOUBLE), torch.randn(2, dtype=DOUBLE)
    fu, fd = torch.randn(4, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)

    def bent(x: Tensor, fu: Tensor, fd: Tensor, bias: Tensor) -> Tensor:
        return freqops.filtered_leaky_relu2d(x, fu, fd, bias, 2, 2, 4, clamp=3.0)

    assert_differentiable(bent, x, fu, fd, bias)


def test_derivative_at_the_corners() -> None:
    """The slope at 0, and all of it where the value is exactly the clamp."""
    x = torch.tensor([[[[-1.0, 0.0, 1.0, 2.0, 2.5]]]], requires_grad=True)
    y = freqops.filtered_leaky_relu2d(x, gain=1.0, slope=0.25, clamp=2.0)
    assert y.tolist() == [[[[-0.25, 0.0, 1.0, 2.0, 2.0]]]]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.25, 0.25, 1.0, 1.0, 0.0]]]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,)], ids=str)
def test_x_stays_as_it_is(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """The nonlinearity writes to what the first filter made, never to x."""
    x = torch.randn(1, 3, 5, 6).to(dtype)
    before, taps = x.clone(), torch.ones(shape) if shape else None
    for up in (1, 2):
        freqops.filtered_leaky_relu2d(x, taps, taps, up=up, padding=1)
        assert torch.equal(x, before)


def test_padding_carries_no_bias() -> None:
    x = torch.zeros(1, 1, 2, 2)
    y = freqops.filtered_leaky_relu2d(x, bias=torch.ones(1), padding=1, gain=1.0)
    assert y[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_harmonics_do_not_fold_back() -> None:
    """A tone's second harmonic, above Nyquist, is what a plain nonlinearity aliases."""
    size, tone_bin = 64, 20
    position = torch.arange(size, dtype=DOUBLE)
    tone = (2 * torch.pi * tone_bin / size * position).cos().expand(1, 1, size, size)
    taps = filters.kaiser_taps(48, 0.23, dtype=DOUBLE)
    wide = torch.cat([tone] * 3, -1)
    wide = torch.cat([wide] * 3, -2)  # far from the borders' zeros
    y = freqops.filtered_leaky_relu2d(wide, taps, taps, up=2, down=2, padding=47)
    middle = y[..., size : 2 * size, size : 2 * size]
    alias = size - 2 * tone_bin  # where bin 40 of 64 appears

    def power(image: Tensor) -> float:
        return float(torch.fft.rfft(image[0, 0, 0])[alias].abs())

    plain = torch.nn.functional.leaky_relu(tone, 0.2) * 2**0.5
    assert power(middle) < 0.05 * power(plain)


def test_maps() -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    bias, taps = torch.randn(3, 4, dtype=DOUBLE), torch.randn(4, dtype=DOUBLE)
    assert_maps_over(
        lambda x, bias: freqops.filtered_leaky_relu2d(x, taps, taps, bias, 2, 2, 5),
        (x, [None, 0, -1]),
        (bias, [None, 0]),
    )


def test_compiles() -> None:
    layer = freqops.FilteredLeakyReLU2d(torch.rand(4), torch.rand(4), 2, 2, 5, channels=3)
    assert_compiles(layer, (torch.randn(2, 3, 8, 10),), (torch.randn(1, 3, 9, 6),))


def test_module() -> None:
    fu, fd = torch.rand(4), (torch.rand(3), torch.rand(2))
    x = torch.randn(2, 3, 8, 9)
    module = freqops.FilteredLeakyReLU2d(fu, fd, 2, 2, 5, clamp=1.0)
    expected = freqops.filtered_leaky_relu2d(x, fu, fd, None, 2, 2, 5, clamp=1.0)
    assert torch.equal(module(x), expected)
    assert not module.state_dict()
    assert len(list(module.buffers())) == 3
    learned = freqops.FilteredLeakyReLU2d(channels=3)
    assert list(learned.state_dict()) == ["bias"]
    learned(x).sum().backward()
    assert learned.bias is not None
    assert learned.bias.grad is not None
    assert repr(module) == (
        "FilteredLeakyReLU2d(up=2, down=2, padding=5, gain=1.414, slope=0.2, clamp=1.0)"
    )


X = torch.randn(2, 3, 6, 5)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((X.int(),), {}, TypeError, "x must be float32, float64, float16 or bfloat16"),
        ((X, 3), {}, TypeError, "fu must be a floating-point Tensor or None, got int"),
        ((X, None, torch.ones(0)), {}, ValueError, "fd must have shape [k], [k_y, k_x] or"),
        ((X, None, None, torch.ones(2)), {}, ValueError, "bias must have shape [C] for x [..., C"),
        ((X, None, None, 1.0), {}, TypeError, "bias must be a floating-point Tensor or None, got"),
        ((X,), {"up": 0}, ValueError, "up must be at least 1, got 0"),
        ((X,), {"down": 1.5}, TypeError, "down must be an integer, got float"),
        ((X,), {"padding": (1, 2, 3)}, ValueError, "padding must be one integer, (x, y) or"),
        ((X,), {"clamp": -1}, ValueError, "clamp must not be negative or NaN, got -1"),
        ((X,), {"gain": None}, TypeError, "gain must be a number, got NoneType"),
    ],
)
def test_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.filtered_leaky_relu2d(*placed(arguments), **options)
    assert str(caught.value).startswith(f"filtered_leaky_relu2d: {sentence}")
