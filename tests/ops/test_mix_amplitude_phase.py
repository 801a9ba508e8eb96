"""mix_amplitude_phase2d."""

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
    with_nonfinite,
)
from torch import Tensor

import freqops
from freqops import reference

pytestmark = pytest.mark.usefixtures("device")

OP = torch.ops.freqops.mix_amplitude_phase


@pytest.mark.sanitizer
@pytest.mark.parametrize("over_channels", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int], over_channels: bool) -> None:
    for channels in (1, 2, 3):
        amplitude, phase = torch.randn(2, 3, channels, *size, dtype=torch.float64)
        mixed = freqops.mix_amplitude_phase2d(amplitude, phase, over_channels=over_channels)
        expected = reference.mix_amplitude_phase2d(amplitude, phase, over_channels=over_channels)
        # Where a bin of the phase image is small its direction is ill-conditioned.
        assert_matches(mixed, expected, scale=1e3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(3, 4, 9, 14, dtype=torch.float64).to(dtype)
    partner = torch.randn(3, 4, 9, 14, dtype=torch.float64).to(dtype)
    for over_channels in (False, True):
        expected = reference.mix_amplitude_phase2d(
            values.double(), partner.double(), over_channels=over_channels
        )
        for name, x in layouts(values):
            mixed = freqops.mix_amplitude_phase2d(x, partner, over_channels=over_channels)
            assert_layout_of_input(x, mixed)
            scale = 20 if dtype == torch.float64 else 4 * float(expected.abs().max())
            assert_matches(mixed, expected, scale), name


def test_zero_phase_image_gives_zero_phase() -> None:
    """Every bin of a black image is 0: the amplitude comes back with phase 0, never NaN."""
    amplitude = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    mixed = freqops.mix_amplitude_phase2d(amplitude, torch.zeros_like(amplitude))
    expected = torch.fft.ifft2(torch.fft.fft2(amplitude).abs()).real
    assert_matches(mixed, expected, scale=20)


def test_image_mixed_with_itself_comes_back() -> None:
    x = torch.randn(2, 3, 17, 20)
    for over_channels in (False, True):
        mixed = freqops.mix_amplitude_phase2d(x, x, over_channels=over_channels)
        assert_matches(mixed, x.double(), scale=10)


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (0, 5, 6)], ids=str)
def test_takes_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    mixed = freqops.mix_amplitude_phase2d(x, x)
    mixed.sum().backward()
    assert mixed.shape == shape


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (5, 1, 7, 5)], ids=str)
def test_nonfinite_plane_stays_alone(shape: tuple[int, ...]) -> None:
    other = torch.randn(shape)
    assert_isolates(lambda x: freqops.mix_amplitude_phase2d(x, other), shape)
    assert_isolates(lambda x: freqops.mix_amplitude_phase2d(other, x), shape)


def test_nonfinite_image_stays_alone_over_channels() -> None:
    x, other = torch.randn(2, 5, 3, 6, 9)
    clean = freqops.mix_amplitude_phase2d(x, other, over_channels=True)
    poisoned = with_nonfinite(x, 7, 2, float("nan"))  # image 2, channel 1
    mixed = freqops.mix_amplitude_phase2d(poisoned, other, over_channels=True)
    keep = [0, 1, 3, 4]
    assert_matches(mixed[keep], clean[keep].double(), scale=10)
    assert not mixed[2].isfinite().any()


@pytest.mark.parametrize("over_channels", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 5)], ids=str)
def test_gradients(size: tuple[int, int], over_channels: bool) -> None:
    amplitude, phase = torch.randn(2, 2, 3, *size, dtype=torch.float64)

    def mix(amplitude: Tensor, phase: Tensor) -> Tensor:
        return freqops.mix_amplitude_phase2d(amplitude, phase, over_channels=over_channels)

    assert_differentiable(mix, amplitude, phase)


def test_gradients_match_reference() -> None:
    amplitude, phase = torch.randn(2, 2, 3, 8, 9, dtype=torch.float64)
    inputs = amplitude.requires_grad_(), phase.requires_grad_()
    cotangent = torch.randn(2, 3, 8, 9, dtype=torch.float64)
    for over_channels in (False, True):
        ours, theirs = (
            torch.autograd.grad(function(*inputs, over_channels=over_channels), inputs, cotangent)
            for function in (freqops.mix_amplitude_phase2d, reference.mix_amplitude_phase2d)
        )
        for actual, expected in zip(ours, theirs, strict=True):
            assert_matches(actual, expected, scale=1e2 * float(expected.abs().max()))


def test_gradient_through_zero_bins_is_zero() -> None:
    amplitude, phase = torch.randn(1, 4, 4, dtype=torch.float64), torch.zeros(1, 4, 4).double()
    inputs = amplitude.requires_grad_(), phase.requires_grad_()
    gradients = torch.autograd.grad(freqops.mix_amplitude_phase2d(*inputs).sum(), inputs)
    assert gradients[0].isfinite().all()
    assert not gradients[1].any()


def test_gradients_in_low_precision() -> None:
    x = torch.randn(2, 3, 8, 8).bfloat16().requires_grad_()
    freqops.mix_amplitude_phase2d(x, x.flip(0)).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("over_channels", [False, True])
def test_maps(over_channels: bool) -> None:
    amplitude, phase = torch.randn(2, 3, 2, 3, 4, 5, dtype=torch.float64)
    assert_maps_over(
        lambda a, p: freqops.mix_amplitude_phase2d(a, p, over_channels=over_channels),
        (amplitude, [None, 0, 1, -1]),
        (phase, [None, 0, -1]),
    )


@pytest.mark.parametrize("over_channels", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_registration(dtype: torch.dtype, over_channels: bool) -> None:
    amplitude = torch.randn(2, 3, 4, 5).to(dtype).requires_grad_()
    phase = torch.randn(2, 3, 4, 5).to(dtype).to(memory_format=torch.channels_last)
    assert_registered(OP.default, (amplitude, phase.requires_grad_(), over_channels))


def test_compiles() -> None:
    calls = [(torch.randn(shape), torch.randn(shape)) for shape in ((2, 3, 8, 10), (3, 4, 12, 7))]
    for over_channels in (False, True):
        assert_compiles(
            lambda a, p, o=over_channels: freqops.mix_amplitude_phase2d(a, p, over_channels=o),
            *calls,
        )


X = torch.randn(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("amplitude", "phase", "over_channels", "error", "sentence"),
    [
        (
            X,
            X[:1],
            False,
            ValueError,
            "mix_amplitude_phase2d: phase must have shape [2, 3, 8, 8] like amplitude, "
            "got [1, 3, 8, 8]",
        ),
        (
            X,
            X.double(),
            False,
            TypeError,
            "mix_amplitude_phase2d: phase must be torch.float32 like amplitude, got torch.float64",
        ),
        (
            X[0, 0],
            X[0, 0],
            True,
            ValueError,
            "mix_amplitude_phase2d: amplitude must have at least 3 dimensions, got 2",
        ),
        (
            X,
            X.int(),
            False,
            TypeError,
            "mix_amplitude_phase2d: phase must be float32, float64, float16 or bfloat16, "
            "got torch.int32",
        ),
        (
            X,
            X.to("meta"),
            False,
            ValueError,
            "mix_amplitude_phase2d: phase must be on cpu like amplitude, got meta",
        ),
        (None, X, False, TypeError, "mix_amplitude_phase2d: amplitude must be a Tensor"),
    ],
)
def test_rejects(
    amplitude: Any, phase: Any, over_channels: bool, error: type[Exception], sentence: str
) -> None:
    amplitude, phase = placed((amplitude, phase))
    with pytest.raises(error) as caught:
        freqops.mix_amplitude_phase2d(amplitude, phase, over_channels=over_channels)
    assert str(caught.value).startswith(sentence.replace("on cpu", f"on {placed(X).device}"))


@given(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)))
def test_mixed_image_has_the_amplitude(shape: tuple[int, ...]) -> None:
    amplitude, phase = torch.randn(2, *shape, dtype=torch.float64)
    for axes in ((-2, -1), (-3, -2, -1)):
        mixed = freqops.mix_amplitude_phase2d(amplitude, phase, over_channels=len(axes) == 3)
        actual = torch.fft.fftn(mixed, dim=axes).abs()
        assert_matches(actual, torch.fft.fftn(amplitude, dim=axes).abs(), scale=1e3)
