"""The specification itself, against the transforms of torch, numpy and scipy, and autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from torch import Tensor

from freqops import filters, reference

SIZES = [(1, 1), (1, 2), (2, 1), (1, 7), (7, 1), (4, 6), (5, 7), (8, 5), (5, 8)]


def response_of(size: tuple[int, ...]) -> Tensor:
    return torch.randn(*size[:-1], size[-1] // 2 + 1, dtype=torch.complex128)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_filter_is_what_torch_computes_on_the_cpu(size: tuple[int, int]) -> None:
    """A response that no real filter has included: C2R uses the edge columns' real parts."""
    x, response = torch.randn(3, *size, dtype=torch.float64), response_of(size)
    expected = torch.fft.irfft2(torch.fft.rfft2(x) * response, s=size)
    torch.testing.assert_close(reference.fft_filter2d(x, response), expected)
    line = response[0]
    expected = torch.fft.irfft(torch.fft.rfft(x) * line, n=size[-1])
    torch.testing.assert_close(reference.fft_filter1d(x, line), expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_filter_is_what_numpy_computes(size: tuple[int, int]) -> None:
    x, response = torch.randn(size, dtype=torch.float64), response_of(size)
    expected = np.fft.irfft2(np.fft.rfft2(x.numpy()) * response.numpy(), s=size)
    torch.testing.assert_close(reference.fft_filter2d(x, response), torch.from_numpy(expected))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_full_response_is_hermitian(size: tuple[int, int]) -> None:
    full = reference.full_response(response_of(size), size)
    mirrored = full[(-torch.arange(size[0])) % size[0]][:, (-torch.arange(size[1])) % size[1]]
    torch.testing.assert_close(full, mirrored.conj())


def test_real_even_responses_pass_unchanged() -> None:
    for size in SIZES:
        response = filters.low_pass(size, 0.3, kind="gaussian", dtype=torch.float64)
        full = reference.full_response(response, size)
        torch.testing.assert_close(full[:, : response.shape[1]].real, response)
        assert not full.imag.any()


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.booleans(),
)
def test_spectral_correlation_is_the_gradient(shape: tuple[int, ...], per_channel: bool) -> None:
    x, cotangent = torch.randn(2, *shape, dtype=torch.float64)
    half = (*((shape[1],) if per_channel else ()), shape[2], shape[3] // 2 + 1)
    real, imag = torch.randn(2, *half, dtype=torch.float64)
    inputs = real.requires_grad_(), imag.requires_grad_()
    y = reference.fft_filter2d(x, torch.complex(*inputs))
    expected = torch.autograd.grad(y, inputs, cotangent)
    actual = reference.spectral_correlation(x, cotangent, shape[1] if per_channel else 0, 2)
    torch.testing.assert_close(actual, expected)


def test_adjoint_of_the_bank_is_its_gradient() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    responses = torch.randn(3, 4, 3, dtype=torch.complex128)
    y = torch.randn(3, 2, 3, 4, 5, dtype=torch.float64)
    (expected,) = torch.autograd.grad(reference.filter_bank2d(x, responses), x, y)
    torch.testing.assert_close(reference.filter_bank_adjoint(y, responses, 2), expected)


def test_parts_add_up() -> None:
    x = torch.randn(2, 6, 9, dtype=torch.float64)
    low, high = reference.low_high2d(x, 0.2)
    torch.testing.assert_close(low + high, x)
    bands = reference.split_bands2d(x, [0.1, 0.3])
    torch.testing.assert_close(bands.sum(0), x)
    torch.testing.assert_close(bands[0], reference.low_high2d(x, 0.1)[0])


def test_mix_matches_angles() -> None:
    """Another way to write it: with angle and exp."""
    amplitude, phase = torch.randn(2, 2, 3, 5, 6, dtype=torch.float64)
    for over_channels, axes in ((False, (-2, -1)), (True, (-3, -2, -1))):
        modulus = torch.fft.fftn(amplitude, dim=axes).abs()
        angle = torch.fft.fftn(phase, dim=axes).angle()
        expected = torch.fft.ifftn(torch.polar(modulus, angle), dim=axes).real
        mixed = reference.mix_amplitude_phase2d(amplitude, phase, over_channels=over_channels)
        torch.testing.assert_close(mixed, expected)


SIDES = [1, 2, 3, 4, 5, 8, 9]


# Not cropping to even: there scipy takes the sum of the bins that meet at Nyquist, not the mean.
@pytest.mark.parametrize(("old", "new"), [(o, n) for o in SIDES for n in SIDES if n % 2 or n >= o])
def test_resized_response_resamples_the_kernel(old: int, new: int) -> None:
    kernel = torch.randn(old, dtype=torch.float64)
    resized = reference.resized_response(torch.fft.rfft(kernel), (old,), (new,))
    expected = signal.resample(kernel.numpy(), new) * (old / new)
    actual = torch.fft.irfft(resized, n=new)
    torch.testing.assert_close(actual, torch.from_numpy(expected))


def test_cropped_nyquist_is_the_mean() -> None:
    full = torch.randn(8, dtype=torch.float64)
    spectrum = torch.fft.fft(full)
    resized = reference.resized_response(spectrum[:5], (8,), (4,))
    torch.testing.assert_close(resized[2], (spectrum[2] + spectrum[-2]) / 2)


def test_resizing_is_separable() -> None:
    response = response_of((6, 8))
    rows_first = reference.resized_response(response, (6, 8), (4, 8))
    both = reference.resized_response(rows_first, (4, 8), (4, 5))
    torch.testing.assert_close(both, reference.resized_response(response, (6, 8), (4, 5)))
