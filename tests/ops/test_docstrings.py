"""The examples in docstrings run, and show what comes out."""

import doctest
import importlib

import pytest

NAMES = [
    "filters",
    "explain",
    "ops.band_limited_conv",
    "ops.blur_pool",
    "ops.blur_pool_adjoint",
    "ops.diff_stride",
    "ops.fft_conv",
    "ops.fft_filter",
    "ops.filter_bank",
    "ops.filtered_leaky_relu",
    "ops.flc_pool",
    "ops.low_high",
    "ops.max_blur_pool",
    "ops.mix_amplitude_phase",
    "ops.polyphase_pool",
    "ops.spectral_conv",
    "ops.spectral_pool",
    "ops.split_bands",
    "ops.upfirdn",
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"freqops.{name}"))
    assert results.attempted
    assert not results.failed
