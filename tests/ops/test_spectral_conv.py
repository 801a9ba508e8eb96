"""spectral_conv2d and SpectralConv2d: the Fourier neural operator's layer."""

from typing import Any

import pytest
import torch
from ops.cases import (
    DTYPES,
    SIZES,
    assert_compiles,
    assert_differentiable,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    layouts,
)
from torch import Tensor

import freqops
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

MODES = [(1, 1), (4, 6), (5, 5), (12, 12), (3, 8)]


def weights(inputs: int, outputs: int, modes: tuple[int, int], dtype: Any = None) -> Tensor:
    return torch.randn(inputs, outputs, modes[0], modes[1] // 2 + 1, 2, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("size", SIZES[:-2], ids=str)
def test_matches_reference(
    size: tuple[int, int], modes: tuple[int, int], dtype: torch.dtype
) -> None:
    x = torch.randn(2, 3, *size, dtype=dtype)
    weight, bias = weights(3, 4, modes, dtype), torch.randn(4, dtype=dtype)
    exact = [tensor.double() for tensor in (x, weight, bias)]
    for output_size in (None, (5, 8), (20, 21)):
        options: Any = {"modes": modes, "output_size": output_size}
        y = freqops.spectral_conv2d(x, weight, bias, **options)
        expected = reference.spectral_conv2d(*exact, **options)
        assert y.dtype == dtype
        assert_matches(y, expected, scale=max(4.0, float(expected.abs().max())))


def test_all_modes_of_the_identity() -> None:
    """Weights of 1 at every frequency of the images give them back."""
    for size in ((8, 6), (7, 9), (1, 5), (2, 2)):
        x = torch.randn(3, 1, *size, dtype=torch.float64)
        weight = torch.zeros(1, 1, size[0], size[1] // 2 + 1, 2, dtype=torch.float64)
        weight[..., 0] = 1
        assert_matches(freqops.spectral_conv2d(x, weight, modes=size), x)


def test_same_weights_at_every_resolution() -> None:
    """Images of low frequencies, sampled finer, give the same result sampled finer."""
    weight = weights(2, 3, (5, 6), torch.float64)
    coarse = freqops.spectral_pool2d(torch.randn(1, 2, 9, 9, dtype=torch.float64), (12, 14))
    fine = freqops.spectral_pool2d(coarse, (36, 28))
    y = freqops.spectral_conv2d(fine, weight, modes=(5, 6))
    assert_matches(y[..., ::3, ::2], freqops.spectral_conv2d(coarse, weight, modes=(5, 6)))
    finer = freqops.spectral_conv2d(coarse, weight, modes=(5, 6), output_size=(36, 28))
    assert_matches(finer, y, scale=4)


def test_commutes_with_shifts() -> None:
    x, weight = torch.randn(2, 3, 12, 11, dtype=torch.float64), weights(3, 4, (5, 6), torch.float64)
    y = freqops.spectral_conv2d(x, weight, modes=(5, 6))
    moved = freqops.spectral_conv2d(x.roll((2, 5), (-2, -1)), weight, modes=(5, 6))
    assert_matches(moved, y.roll((2, 5), (-2, -1)), scale=4)


def test_layouts_and_leading_dimensions() -> None:
    x, weight = torch.randn(3, 4, 9, 10), weights(4, 5, (4, 4))
    expected = freqops.spectral_conv2d(x, weight, modes=4)
    for name, moved in layouts(x):
        y = freqops.spectral_conv2d(moved, weight, modes=4)
        assert_pooled_layout(moved, y)
        torch.testing.assert_close(y, expected, msg=name)
    y = freqops.spectral_conv2d(x[:, None], weight, modes=4)
    torch.testing.assert_close(y[:, 0], expected)
    torch.testing.assert_close(freqops.spectral_conv2d(x[0], weight, modes=4), expected[0])


def test_empty_batch_has_gradients_of_zero() -> None:
    weight = weights(4, 5, (4, 4)).requires_grad_()
    for output_size, sides in ((None, (9, 10)), (6, (6, 6))):
        x = torch.randn(0, 4, 9, 10, requires_grad=True)
        y = freqops.spectral_conv2d(x, weight, torch.zeros(5), modes=4, output_size=output_size)
        assert y.shape == (0, 5, *sides)
        dx, d_weight = torch.autograd.grad(y.sum(), (x, weight))
        assert dx.shape == x.shape
        assert not d_weight.any()


@pytest.mark.parametrize("size", [(4, 5), (5, 4)], ids=str)
@pytest.mark.parametrize("output_size", [None, (3, 6)])
def test_gradients(size: tuple[int, int], output_size: Any) -> None:
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    weight, bias = weights(2, 3, (4, 5), torch.float64), torch.randn(3, dtype=torch.float64)
    options: Any = {"modes": (4, 5), "output_size": output_size}
    assert_differentiable(
        lambda *tensors: freqops.spectral_conv2d(*tensors, **options), x, weight, bias
    )


def test_vmap() -> None:
    x, weight = (
        torch.randn(3, 2, 2, 6, 5, dtype=torch.float64),
        torch.randn(3, 2, 4, 3, 2, 2, dtype=torch.float64),
    )
    assert_maps_over(
        lambda x, w: freqops.spectral_conv2d(x, w, modes=(3, 2)),
        (x, (0, 1, None)),
        (weight, (0, 2, None)),
    )


def test_compiles() -> None:
    layer = freqops.SpectralConv2d(3, 4, (6, 8))
    calls = [(torch.randn(2, 3, *size),) for size in ((16, 18), (5, 21), (33, 4))]
    assert_compiles(layer, *calls)
    assert_compiles(freqops.SpectralConv2d(3, 4, 6, output_size=9), *calls)


def test_exports_with_dynamic_sizes() -> None:
    layer = freqops.SpectralConv2d(3, 4, (6, 8))
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    exported = torch.export.export(layer, (torch.randn(2, 3, 19, 18),), dynamic_shapes=[sizes])
    for size in ((25, 40), (4, 5)):
        x = torch.randn(3, 3, *size)
        torch.testing.assert_close(exported.module()(x), layer(x))


def test_half_types_keep_float32_weights() -> None:
    layer = freqops.SpectralConv2d(3, 4, 6)
    x = torch.randn(2, 3, 8, 8).bfloat16()
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    exact = layer(x.double()).detach()
    assert_matches(y, exact, scale=float(exact.abs().max()))


def test_module() -> None:
    torch.manual_seed(0)
    layer = freqops.SpectralConv2d(30, 50, (12, 11))
    shapes = {name: tuple(p.shape) for name, p in layer.state_dict().items()}
    assert shapes == {"weight": (30, 50, 12, 6, 2), "bias": (50,)}
    variance = layer.weight.detach().square().sum(-1).mean()
    assert abs(float(variance) - 2 / 80) < 1e-3
    assert repr(layer) == "SpectralConv2d(30, 50, modes=(12, 11))"
    other = freqops.SpectralConv2d(3, 4, 5, bias=False, output_size=7, dtype=torch.float64)
    assert repr(other) == "SpectralConv2d(3, 4, modes=(5, 5), bias=False, output_size=7)"
    y = other(torch.randn(2, 3, 9, 8, dtype=torch.float64))
    assert y.shape == (2, 4, 7, 7)
    assert freqops.explain(layer, torch.rand(1, 30, 8, 8)).kernel == "torch.fft composition"


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"x": [1]}, TypeError, "x must be a Tensor, got list"),
        ({"x": torch.randn(6, 5)}, ValueError, "x must have at least 3 dimensions, got 2"),
        (
            {"x": torch.randn(2, 4, 6, 5)},
            ValueError,
            "x must have shape [..., 3, H, W] for weight [3, 4, 4, 4, 2], got [2, 4, 6, 5]",
        ),
        ({"weight": torch.randn(3, 4, 4, 4) + 0j}, TypeError, "weight must be a floating-point"),
        (
            {"weight": torch.randn(3, 4, 4, 3, 2)},
            ValueError,
            "weight must have shape [Cin, Cout, 4, 4, 2] for modes [4, 6], got [3, 4, 4, 3, 2]",
        ),
        ({"bias": torch.randn(3)}, ValueError, "bias must have shape [4], got [3]"),
        ({"modes": 0}, ValueError, "modes must be at least 1, got 0"),
        ({"modes": (4, 6, 2)}, ValueError, "modes must be one integer or 2, one per axis, got 3"),
        ({"modes": 4.0}, TypeError, "modes must be an integer, got float"),
        ({"output_size": 0}, ValueError, "output_size must be at least 1, got 0"),
    ],
)
def test_rejects(change: Any, error: type[Exception], sentence: str) -> None:
    device = torch.get_default_device()
    arguments: Any = {
        "x": torch.randn(2, 3, 6, 5),
        "weight": torch.randn(3, 4, 4, 4, 2),
        "bias": None,
        "modes": (4, 6),
        **{key: v.to(device) if isinstance(v, Tensor) else v for key, v in change.items()},
    }
    with pytest.raises(error) as caught:
        freqops.spectral_conv2d(**arguments)
    assert str(caught.value).startswith(f"spectral_conv2d: {sentence}")


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((0, 4, 6), ValueError, "SpectralConv2d: in_channels must be at least 1, got 0"),
        ((3, 4.0, 6), TypeError, "SpectralConv2d: out_channels must be an integer, got float"),
        ((3, 4, 0), ValueError, "SpectralConv2d: modes must be at least 1, got 0"),
    ],
)
def test_module_rejects(arguments: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.SpectralConv2d(*arguments)
    assert str(caught.value) == sentence
