"""The torch.fft compositions that stand in on CUDA, tested on CPU tensors, and on CUDA itself."""

from typing import Any

import pytest
import torch
from ops.cases import (
    DTYPES,
    assert_isolates,
    assert_matches,
    half_size,
    layouts,
)
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)
from freqops import reference
from freqops.ops import _composition

SIZES = [(1, 1), (1, 2), (2, 1), (1, 7), (7, 1), (4, 6), (5, 7), (8, 5), (6, 8)]
NAMES = [
    "fft_filter",
    "filter_bank",
    "filter_bank_adjoint",
    "low_high",
    "split_bands",
    "spectral_correlation",
    "mix_amplitude_phase",
]


def arguments_of(name: str, x: Tensor, dims: int, complex_: bool, per_channel: bool) -> Any:
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    shape = (*((x.shape[-dims - 1],) if per_channel else ()), *half_size(x.shape[-dims:]))
    count = () if name == "fft_filter" else (3,)
    real, imag = torch.randn(2, *count, *shape, dtype=compute)
    if name == "spectral_correlation":
        return x, x.flip(0), x.shape[-dims - 1] if per_channel else 0, dims
    if name == "mix_amplitude_phase":
        return x, x.flip(0), per_channel
    if name in ("low_high", "split_bands"):
        return x, real, dims
    if name == "filter_bank_adjoint":
        x = torch.stack([x, x.flip(0), 2 * x])
    return x, real, imag if complex_ else None, dims


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_kernel(name: str, dims: int) -> None:
    """Kernels and compositions are two implementations of one function, layout included."""
    for size in SIZES:
        for complex_, per_channel in ((False, False), (True, True), (True, False)):
            x = torch.randn(2, 3, *size, dtype=torch.float64)
            arguments = arguments_of(name, x, dims, complex_, per_channel)
            composed = getattr(_composition, name)(*arguments)
            computed = getattr(torch.ops.freqops, name)(*arguments)
            if isinstance(composed, Tensor):
                composed, computed = (composed,), (computed,)
            for actual, expected in zip(composed, computed, strict=True):
                assert actual.stride() == expected.stride()
                assert_matches(actual, expected, scale=1e3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "spectral_correlation"])
def test_keeps_dtype_and_layout(name: str, dtype: torch.dtype) -> None:
    for _, x in layouts(torch.randn(2, 3, 8, 9).to(dtype)):
        arguments = arguments_of(name, x, 2, True, True)
        composed = getattr(_composition, name)(*arguments)
        computed = getattr(torch.ops.freqops, name)(*arguments)
        if isinstance(composed, Tensor):
            composed, computed = (composed,), (computed,)
        for actual, expected in zip(composed, computed, strict=True):
            assert actual.stride() == expected.stride()
            # Both round once; they may fall to different sides.
            assert_matches(actual, expected.double(), scale=2 * float(expected.abs().max()) + 1e2)


@pytest.mark.parametrize("name", NAMES)
def test_takes_empty_batches(name: str) -> None:
    x = torch.zeros(0, 3, 4, 6)
    arguments = arguments_of(name, x, 2, False, False)
    composed = getattr(_composition, name)(*arguments)
    computed = getattr(torch.ops.freqops, name)(*arguments)
    if isinstance(composed, Tensor):
        composed, computed = (composed,), (computed,)
    for actual, expected in zip(composed, computed, strict=True):
        assert actual.shape == expected.shape
        assert not actual.any()


def test_inverse_transform_gets_a_consistent_spectrum() -> None:
    """cuFFT leaves a DC or Nyquist column without Hermitian symmetry undefined: there is none."""
    for size in SIZES:
        real, imag = torch.randn(2, *half_size(size), dtype=torch.float64)
        gain = _composition.symmetrised(real, imag, size[-1], 2)
        full = reference.full_response(torch.complex(real, imag), size)
        assert_matches(torch.view_as_real(gain), torch.view_as_real(full[..., : gain.shape[-1]]))


def test_nonfinite_plane_stays_alone() -> None:
    response = torch.rand(7, 5)
    assert_isolates(lambda x: _composition.fft_filter(x, response, None, 2), (3, 2, 7, 8))


@pytest.mark.cuda
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_kernel_on_cuda(name: str, dims: int) -> None:
    """cuFFT's part: float64 there against the CPU kernels."""
    for size in (*SIZES, (32, 32), (331, 331)):
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        arguments = arguments_of(name, x, dims, True, True)
        there = [value.cuda() if isinstance(value, Tensor) else value for value in arguments]
        composed = getattr(_composition, name)(*there)
        computed = getattr(torch.ops.freqops, name)(*arguments)
        if isinstance(composed, Tensor):
            composed, computed = (composed,), (computed,)
        for actual, expected in zip(composed, computed, strict=True):
            assert actual.stride() == expected.stride()
            assert_matches(actual.cpu(), expected, scale=1e4)
