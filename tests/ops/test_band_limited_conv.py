"""band_limited_conv1d/2d, band_for_energy and BandLimitedConv1d/2d."""

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
    assert_registered,
    layouts,
)
from torch import Tensor, nn
from torch.nn import functional

import freqops
from freqops import filters, reference

pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("band", [0, (3, 2), (1, 7), (7, 6), 5], ids=str)
@pytest.mark.parametrize("grid", [(16, 12), (14, 15), (20, 20)], ids=str)
@pytest.mark.parametrize(("groups", "share"), [(1, 4), (2, 2), (4, 1)])
def test_matches_reference(
    groups: int, share: int, grid: tuple[int, int], band: Any, dtype: torch.dtype
) -> None:
    x = torch.randn(2, groups * share, 9, 7, dtype=dtype)
    weight, bias = torch.randn(8, share, 3, 2, dtype=dtype), torch.randn(8, dtype=dtype)
    for stride, padding, dilation in ((1, 0, 1), ((1, 2), (2, 1), (2, 1)), (1, "same", 1)):
        options: Any = {"groups": groups, "band": band, "fft_size": grid, "dilation": dilation}
        y = freqops.band_limited_conv2d(x, weight, bias, stride, padding, **options)
        exact = (tensor.double() for tensor in (x, weight, bias))
        expected = reference.band_limited_conv2d(*exact, stride, padding, **options)
        assert y.dtype == dtype
        assert_matches(y, expected, scale=20)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("grid", [25, 26, 40])
def test_lines_match_reference(grid: int, groups: int) -> None:
    x = torch.randn(2, 4, 19, dtype=torch.float64)
    weight = torch.randn(8, 4 // groups, 5, dtype=torch.float64)
    for band in (0, 4, 12, 20):
        numbers = (weight, None, 2, 3)
        options: Any = {"groups": groups, "band": band, "fft_size": grid}
        y = freqops.band_limited_conv1d(x, *numbers, **options)
        assert_matches(y, reference.band_limited_conv1d(x, *numbers, **options), scale=20)


@given(st.data())
def test_all_frequencies_give_the_exact_convolution(data: st.DataObject) -> None:
    """By default, and through the cut's own code with a band of half the grid."""
    kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = data.draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    size = [data.draw(st.integers(k, k + 9)) for k in kernel]
    stride = data.draw(st.integers(1, 3))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    weight = torch.randn(4, 2, *kernel, dtype=torch.float64)
    expected = functional.conv2d(x, weight, None, stride, padding, 1, 2)
    for options in ({}, {"band": 2**70}, {"compression": 0.0, "fft_size": 40}, {"band": 20}):
        y = freqops.band_limited_conv2d(
            x,
            weight,
            None,
            stride,
            padding,
            groups=2,
            **options,  # type: ignore[arg-type]
        )
        assert_matches(y, expected, scale=20)


def test_is_an_ideal_low_pass_behind_the_convolution() -> None:
    """With padding for the whole linear convolution: its values on the grid, filtered there."""
    x, weight = torch.randn(2, 3, 10, 9), torch.randn(4, 3, 3, 4)
    grid = (16, 18)
    whole = functional.conv2d(x, weight, padding=(2, 3))
    behind = [0, grid[1] - whole.shape[-1], 0, grid[0] - whole.shape[-2]]
    response = filters.low_pass(grid, 4.5, unit="bins", norm="linf")
    filtered = freqops.fft_filter2d(functional.pad(whole, behind), response)
    y = freqops.band_limited_conv2d(x, weight, padding=(2, 3), band=4, fft_size=grid)
    torch.testing.assert_close(y, filtered[..., : y.shape[-2], : y.shape[-1]], rtol=1e-5, atol=1e-5)


def test_padding_does_not_change_what_is_cut() -> None:
    """The default grid is that of the linear convolution: an inner part stays the same."""
    x, weight = torch.randn(1, 3, 20, 21), torch.randn(4, 3, 5, 5)
    same = freqops.band_limited_conv2d(x, weight, padding=2, compression=0.5)
    valid = freqops.band_limited_conv2d(x, weight, compression=0.5)
    torch.testing.assert_close(same[..., 2:-2, 2:-2], valid)


@pytest.mark.parametrize(
    ("compression", "grid", "band"),
    [
        (0.0, (16, 16), (8, 8)),
        (0.75, (14, 14), (3, 3)),  # half of 8 along each axis: 4 frequencies
        (0.36, (18, 10), (7, 3)),  # 0.8 of 10 and 6
        (0.999, (16, 16), (0, 0)),
        (0.01, (16, 16), (7, 7)),
    ],
)
def test_compression_is_a_share_of_the_area(
    compression: float, grid: tuple[int, int], band: tuple[int, int]
) -> None:
    x, weight = torch.randn(1, 2, 8, 8), torch.randn(2, 2, 3, 3)
    y = freqops.band_limited_conv2d(x, weight, compression=compression, fft_size=grid)
    expected = freqops.band_limited_conv2d(x, weight, band=band, fft_size=grid)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(("compression", "band"), [(0.5, 4), (0.1, 8), (0.75, 1), (0.99, 0)])
def test_compression_of_lines_is_linear(compression: float, band: int) -> None:
    x, weight = torch.randn(1, 2, 12), torch.randn(2, 2, 3)
    options = {"fft_size": 18}  # 10 frequencies
    y = freqops.band_limited_conv1d(x, weight, compression=compression, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(y, freqops.band_limited_conv1d(x, weight, band=band, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("groups", [1, 4])
def test_memory_formats(groups: int) -> None:
    weight, x = torch.randn(4, 4 // groups, 5, 3), torch.randn(3, 4, 9, 10)
    expected = freqops.band_limited_conv2d(x, weight, padding=2, groups=groups, compression=0.5)
    for name, moved in layouts(x):
        y = freqops.band_limited_conv2d(moved, weight, padding=2, groups=groups, compression=0.5)
        assert_pooled_layout(moved, y)
        torch.testing.assert_close(y, expected, msg=name)


@pytest.mark.parametrize(("groups", "options"), [(1, {"band": (2, 1)}), (2, {"compression": 0.5})])
def test_gradients(groups: int, options: Any) -> None:
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    weight = torch.randn(2, 2 // groups, 3, 2, dtype=torch.float64)
    bias = torch.randn(2, dtype=torch.float64)

    def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return freqops.band_limited_conv2d(x, weight, bias, (2, 1), 1, groups=groups, **options)

    assert_differentiable(convolved, x, weight, bias)


@pytest.mark.parametrize("groups", [1, 2])
def test_adjoint_identity(groups: int) -> None:
    """<Ax, y> = <x, A*y>, the cut included, for both factors."""
    x = torch.randn(2, 4, 9, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 4 // groups, 3, 3, dtype=torch.float64, requires_grad=True)
    y = freqops.band_limited_conv2d(x, weight, None, 2, 1, groups=groups, band=(3, 2))
    g = torch.randn_like(y)
    product = (y * g).sum()
    dx, d_weight = torch.autograd.grad(product, (x, weight))
    for factor, gradient in ((x, dx), (weight, d_weight)):
        torch.testing.assert_close((factor * gradient).sum(), product)


@pytest.mark.parametrize("groups", [1, 2])
def test_vmap(groups: int) -> None:
    x = torch.randn(3, 2, 4, 6, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, 4 // groups, 2, 3, dtype=torch.float64)
    assert_maps_over(
        lambda x, w: freqops.band_limited_conv2d(x, w, groups=groups, band=2),
        (x, (0, 1, None)),
        (weight, (0, 2, None)),
    )


@pytest.mark.parametrize("cut", [([10, 9], [2, 3], 0.0), ([], [], 0.5)], ids=["band", "share"])
def test_registration(cut: Any) -> None:
    x = torch.randn(2, 4, 5, 6, requires_grad=True)
    weight = torch.randn(2, 2, 2, 3, requires_grad=True)
    numbers = ([6, 5], [1, 1], [1, 1], [1, 1], 2, *cut)
    assert_registered(torch.ops.freqops.fft_conv.default, (x, weight, *numbers))


def test_compiles() -> None:
    for options in ({"compression": 0.5}, {"band": (3, 2), "fft_size": 32}):  # uncut: FFTConv2d's
        layer = freqops.BandLimitedConv2d(4, 6, 3, padding=1, **options)  # type: ignore[arg-type]
        assert_compiles(layer, (torch.randn(2, 4, 19, 18),), (torch.randn(1, 4, 12, 17),))
    lines = freqops.BandLimitedConv1d(4, 6, 3, compression=0.25)
    assert_compiles(lines, (torch.randn(2, 4, 19),), (torch.randn(1, 4, 30),))


def test_exports_with_dynamic_sizes() -> None:
    layer = freqops.BandLimitedConv2d(4, 6, 3, padding=1, compression=0.5)
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    exported = torch.export.export(layer, (torch.randn(2, 4, 19, 18),), dynamic_shapes=[sizes])
    x = torch.randn(3, 4, 25, 40)
    torch.testing.assert_close(exported.module()(x), layer(x))


# --- the band for an energy ---------------------------------------------------------------------


@given(st.data())
def test_band_for_energy(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    grid = tuple(side + data.draw(st.integers(0, 9)) for side in size)
    x = torch.randn(2, *size, dtype=torch.float64).cumsum(-1)
    # Shares that lie between two sums, so that rounding does not decide.
    for share in (0.0, 0.313, 0.777, 0.951):
        assert freqops.band_for_energy(x, share, grid) == reference.band_for_energy(x, share, grid)
        line = freqops.band_for_energy(x, share, grid[1], dims=1)
        assert line == reference.band_for_energy(x, share, grid[1:])


def test_band_keeps_the_energy_of_a_convolution() -> None:
    """A 1x1 kernel of 1 gives x itself, whose energy behind the cut is the share asked for."""
    x = torch.randn(3, 1, 16, 16, dtype=torch.float64).cumsum(-1).cumsum(-2)
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for share in (0.5, 0.9, 0.99):
        band = freqops.band_for_energy(x, share, 16)
        kept = freqops.band_limited_conv2d(x, one, band=band, fft_size=16)
        assert kept.square().sum() >= share * x.square().sum()
        if band:
            less = freqops.band_limited_conv2d(x, one, band=band - 1, fft_size=16)
            assert less.square().sum() < share * x.square().sum()
    assert freqops.band_for_energy(torch.ones(2, 8, 8), 1.0, 8) == 0
    assert freqops.band_for_energy(torch.zeros(2, 8, 8), 1.0, 8) == 0
    assert freqops.band_for_energy(torch.randn(0, 8, 8), 0.5, 8) == 0
    assert freqops.band_for_energy(torch.randn(2, 8, 8).half(), 1.0, (8, 10)) == 5


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2])
def test_module(dims: int) -> None:
    own: Any = freqops.BandLimitedConv1d if dims == 1 else freqops.BandLimitedConv2d
    torchs: Any = nn.Conv1d if dims == 1 else nn.Conv2d
    ours: Any = freqops.band_limited_conv1d if dims == 1 else freqops.band_limited_conv2d
    numbers: Any = {"kernel_size": 3, "padding": 1, "groups": 2, "dilation": 2}
    torch.manual_seed(0)
    layer = own(4, 8, band=3, **numbers)
    torch.manual_seed(0)
    exact = torchs(4, 8, **numbers)
    assert isinstance(layer, torchs)
    x = torch.randn(2, 4, *[11, 9][:dims])
    options = {"groups": 2, "dilation": 2, "band": 3}
    assert torch.equal(layer(x), ours(x, exact.weight, exact.bias, 1, 1, **options))
    layer.load_state_dict(exact.state_dict())
    exact.load_state_dict(layer.state_dict())
    uncut = own(4, 8, **numbers)
    uncut.load_state_dict(exact.state_dict())
    torch.testing.assert_close(uncut(x), exact(x))
    assert repr(layer).endswith("groups=2, band=3)")
    assert repr(own(4, 8, 3, compression=0.5)).endswith(", compression=0.5)")
    assert "compression" not in repr(uncut)
    around = own(4, 8, 3, padding=1, padding_mode="circular", compression=0.5)
    wide = functional.pad(x, [1, 1] * dims, mode="circular")
    assert torch.equal(around(x), ours(wide, around.weight, around.bias, compression=0.5))


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"band": -1}, ValueError, "band must be at least 0, got -1"),
        ({"band": 1.5}, TypeError, "band must be an integer, got float"),
        ({"band": (1, 2, 3)}, ValueError, "band must be one integer or 2, one per axis, got 3"),
        ({"compression": 1.0}, ValueError, "compression must be at least 0 and below 1, got 1.0"),
        ({"compression": -0.1}, ValueError, "compression must be at least 0 and below 1, got -0.1"),
        ({"compression": float("nan")}, ValueError, "compression must be at least 0 and below 1"),
        ({"compression": "half"}, TypeError, "compression must be a number, got str"),
        (
            {"band": 1, "compression": 0.5},
            ValueError,
            "compression must be 0 where there is a band, got 0.5",
        ),
        (
            {"band": 1, "fft_size": 6},
            ValueError,
            "fft_size must be at least [7, 6] for x [2, 4, 6, 5] and weight [6, 4, 3, 3], got 6",
        ),
        ({"fft_size": 0}, ValueError, "fft_size must be at least 1, got 0"),
        (
            {"fft_size": 2**14},
            ValueError,
            "fft_size must have at most 2**26 samples, got 16384",
        ),
        ({"fft_size": 2**27}, ValueError, "fft_size must be at most 2**26, got 134217728"),
        ({"groups": 3}, ValueError, "x must have shape [..., 12, H, W] for weight"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ],
)
def test_rejects(options: Any, error: type[Exception], sentence: str) -> None:
    x, weight = torch.randn(2, 4, 6, 5), torch.randn(6, 4, 3, 3)
    with pytest.raises(error) as caught:
        freqops.band_limited_conv2d(x, weight, padding=1, **options)
    assert str(caught.value).startswith(f"band_limited_conv2d: {sentence}")


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (([1], 0.5, 8), TypeError, "x must be a Tensor, got list"),
        ((torch.ones(8), 0.5, 8), ValueError, "x must have at least 2 dimensions, got 1"),
        ((torch.ones(8, 8), 1.5, 8), ValueError, "share must be from 0 to 1, got 1.5"),
        ((torch.ones(8, 8), "all", 8), TypeError, "share must be a number, got str"),
        ((torch.ones(8, 9), 0.5, 8), ValueError, "fft_size must be at least [8, 9], as x, got 8"),
        (
            (torch.ones(8, 9), 0.5, 2**14),
            ValueError,
            "fft_size must have at most 2**26 samples, got 16384",
        ),
        ((torch.ones(8, 9), 0.5, 8.0), TypeError, "fft_size must be an integer, got float"),
    ],
)
def test_band_for_energy_rejects(arguments: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        freqops.band_for_energy(*arguments)
    assert str(caught.value).startswith(f"band_for_energy: {sentence}")


def test_band_for_energy_rejects_dims() -> None:
    with pytest.raises(ValueError, match="dims must be 1 or 2, got 3"):
        freqops.band_for_energy(torch.ones(8, 8), 0.5, 8, dims=3)
