"""The examples in docstrings run, and show what comes out."""

import doctest
import importlib

import pytest

NAMES = [
    "filters",
    "explain",
    "ops.fft_filter",
    "ops.filter_bank",
    "ops.low_high",
    "ops.mix_amplitude_phase",
    "ops.split_bands",
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"freqops.{name}"))
    assert results.attempted
    assert not results.failed
