"""Fused frequency-domain operators for PyTorch: filters, banks, accuracy under filtering."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

# First: it registers the ops that everything below calls.
from freqops import _libraries as _libraries  # isort: skip
from freqops import filters
from freqops._C import __version__
from freqops.explain import explain
from freqops.ops import (
    BandPass1d,
    BandPass2d,
    FFTFilter1d,
    FFTFilter2d,
    GlobalFilter1d,
    GlobalFilter2d,
    HighPass1d,
    HighPass2d,
    LowPass1d,
    LowPass2d,
    fft_filter1d,
    fft_filter2d,
    filter_bank1d,
    filter_bank2d,
    low_high2d,
    mix_amplitude_phase2d,
    split_bands2d,
)

if TYPE_CHECKING:
    from freqops import evaluation

__all__ = [
    "BandPass1d",
    "BandPass2d",
    "FFTFilter1d",
    "FFTFilter2d",
    "GlobalFilter1d",
    "GlobalFilter2d",
    "HighPass1d",
    "HighPass2d",
    "LowPass1d",
    "LowPass2d",
    "__version__",
    "evaluation",
    "explain",
    "fft_filter1d",
    "fft_filter2d",
    "filter_bank1d",
    "filter_bank2d",
    "filters",
    "low_high2d",
    "mix_amplitude_phase2d",
    "split_bands2d",
]


def __getattr__(name: str) -> ModuleType:
    # On first use: it brings tables and progress bars that a training script has no need of.
    if name == "evaluation":
        return importlib.import_module("freqops.evaluation")
    raise AttributeError(f"module 'freqops' has no attribute {name!r}")
