"""LowPass, HighPass and BandPass modules."""

from typing import Any

import pytest
import torch
from ops.cases import assert_compiles, assert_differentiable, layouts
from torch import nn

import freqops
from freqops import filters

pytestmark = pytest.mark.usefixtures("device")

TWO = {
    freqops.LowPass2d: filters.low_pass,
    freqops.HighPass2d: filters.high_pass,
    freqops.BandPass2d: filters.band_pass,
}
ONE = {
    freqops.LowPass1d: filters.low_pass,
    freqops.HighPass1d: filters.high_pass,
    freqops.BandPass1d: filters.band_pass,
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"kind": "gaussian", "unit": "nyquist"},
    {"kind": "butterworth", "order": 3, "norm": "linf"},
    {"unit": "bins", "inclusive": True, "norm": "l1"},
]


def cutoffs_of(module: type[nn.Module], unit: str = "cycles") -> tuple[float, ...]:
    scale = 10 if unit == "bins" else 1
    return (0.2 * scale,) if "Band" not in module.__name__ else (0.1 * scale, 0.3 * scale)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("module", TWO, ids=lambda module: module.__name__)
def test_module_2d(module: type[nn.Module], options: dict[str, Any]) -> None:
    cutoffs = cutoffs_of(module, options.get("unit", "cycles"))
    layer = module(*cutoffs, **options)
    for shape in ((2, 3, 8, 10), (7, 5), (1, 12, 12)):  # one module, any size
        x = torch.randn(shape, dtype=torch.float64)
        response = TWO[module](shape[-2:], *cutoffs, **options, dtype=torch.float64)
        assert torch.equal(layer(x), freqops.fft_filter2d(x, response))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "gaussian"},
        {"kind": "gaussian", "unit": "bins"},
        {"norm": "linf", "unit": "bins"},
        {"norm": "linf", "unit": "bins", "inclusive": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("shape", "last"), [((2, 3, 31, 37), False), ((2, 16, 9, 14), True), ((1, 8, 1, 29), True)]
)
def test_low_pass_by_matrices(
    shape: tuple[int, ...], last: bool, options: dict[str, Any], dtype: torch.dtype
) -> None:
    x = torch.randn(shape).to(dtype)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    cutoff = 4.0 if options.get("unit") == "bins" else 0.1
    layer = freqops.LowPass2d(cutoff, **options)
    y = layer(x)
    response = filters.low_pass(shape[-2:], cutoff, **options, dtype=torch.float64)
    expected = freqops.fft_filter2d(x.double(), response)
    tolerance = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 1.6e-2}[dtype]
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=tolerance)
    assert y.stride() == x.stride()
    assert y.dtype == dtype


def test_low_pass_by_matrices_where_they_are_faster() -> None:
    def ops_of(layer: nn.Module, x: torch.Tensor) -> str:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            layer(x)
        return " ".join(event.key for event in profile.key_averages())

    gaussian = freqops.LowPass2d(0.1, kind="gaussian")
    prime, smooth = (
        torch.randn(shape, device="cpu") for shape in ((2, 3, 61, 61), (2, 16, 32, 32))
    )
    assert "freqops::separable" in ops_of(gaussian, prime)
    # Their times were taken on CPUs: on any other device they are not preferred to a kernel.
    assert "freqops::separable" not in ops_of(gaussian, prime.to("meta"))
    assert "freqops::fft_filter" in ops_of(gaussian, smooth)
    last = smooth.contiguous(memory_format=torch.channels_last)
    assert "freqops::separable" in ops_of(gaussian, last)
    assert "freqops::fft_filter" in ops_of(freqops.LowPass2d(0.1), prime)  # a disc is no product
    learned = freqops.LowPass2d(nn.Parameter(torch.tensor(0.1)), kind="gaussian")
    assert "freqops::fft_filter" in ops_of(learned, prime)


@pytest.mark.parametrize("module", ONE, ids=lambda module: module.__name__)
def test_module_1d(module: type[nn.Module]) -> None:
    cutoffs = cutoffs_of(module)
    for length in (1, 9, 16):
        x = torch.randn(2, 3, length)
        response = ONE[module](length, *cutoffs)
        assert torch.equal(module(*cutoffs)(x), freqops.fft_filter1d(x, response))


@pytest.mark.parametrize("module", {**TWO, **ONE}, ids=lambda module: module.__name__)
def test_fixed_module_has_no_state(module: type[nn.Module]) -> None:
    layer = module(*cutoffs_of(module))
    layer(torch.randn(4, 6, 6))
    assert not layer.state_dict()
    layer.load_state_dict({}, strict=True)


def test_learned_cutoff() -> None:
    cutoff = nn.Parameter(torch.tensor(0.2, dtype=torch.float64))
    layer = freqops.LowPass2d(cutoff, kind="gaussian")
    assert list(layer.state_dict()) == ["cutoff"]
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    assert_differentiable(
        lambda c: torch.func.functional_call(layer, {"cutoff": c}, (x,)), cutoff.detach()
    )
    layer(x).square().sum().backward()
    assert cutoff.grad is not None
    assert "0.2 (learned)" in repr(layer)


def test_keeps_dtype_and_layout() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        for _, x in layouts(torch.randn(2, 3, 8, 9).to(dtype)):
            assert freqops.LowPass2d(0.2)(x).dtype == dtype
    x = torch.randn(2, 3, 8, 9).to(memory_format=torch.channels_last)
    assert freqops.HighPass2d(0.2)(x).is_contiguous(memory_format=torch.channels_last)


def test_low_and_high_add_up() -> None:
    x = torch.randn(2, 3, 15, 16, dtype=torch.float64)
    for options in OPTIONS[:3]:
        total = freqops.LowPass2d(0.2, **options)(x) + freqops.HighPass2d(0.2, **options)(x)
        torch.testing.assert_close(total, x)


def test_compiles_at_any_size() -> None:
    for layer in (freqops.LowPass2d(0.2), freqops.BandPass2d(0.1, 0.3, kind="butterworth")):
        assert_compiles(layer, (torch.randn(2, 3, 8, 10),), (torch.randn(3, 4, 12, 7),))


def test_repr_names_what_matters() -> None:
    assert repr(freqops.LowPass2d(0.25)) == (
        "LowPass2d(cutoff=0.25, kind='ideal', unit='cycles', norm='l2')"
    )
    assert repr(freqops.BandPass1d(2, 4, unit="bins", inclusive=True)) == (
        "BandPass1d(low=2, high=4, kind='ideal', unit='bins', inclusive=True)"
    )
    assert "order=3" in repr(freqops.HighPass2d(0.1, kind="butterworth", order=3))


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: freqops.LowPass2d(-0.1),
            ValueError,
            "LowPass2d: cutoff must not be negative or NaN, got -0.1",
        ),
        (
            lambda: freqops.LowPass2d("0.1"),  # type: ignore[arg-type]
            TypeError,
            "LowPass2d: cutoff must be a number or a Tensor, got str",
        ),
        (
            lambda: freqops.LowPass2d(torch.tensor(0.1)),  # type: ignore[arg-type]
            TypeError,
            "LowPass2d: cutoff must be a number or an nn.Parameter of shape [], got a Tensor",
        ),
        (
            lambda: freqops.HighPass1d(0.1, kind="box"),  # type: ignore[arg-type]
            ValueError,
            "HighPass1d: kind must be one of 'ideal', 'butterworth', 'gaussian', got 'box'",
        ),
        (
            lambda: freqops.BandPass2d(0.3, 0.1),
            ValueError,
            "BandPass2d: low must not be above high, got 0.3 and 0.1",
        ),
        (
            lambda: freqops.LowPass2d(0.1)(torch.randn(4)),
            ValueError,
            "LowPass2d: x must have at least 2 dimensions, got 1",
        ),
    ],
)
def test_rejects(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
