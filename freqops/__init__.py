"""Fused frequency-domain operators for PyTorch: filters, banks, anti-aliased pooling, sweeps."""

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
    BlurPool1d,
    BlurPool2d,
    BlurPool3d,
    FFTFilter1d,
    FFTFilter2d,
    FilteredLeakyReLU2d,
    GlobalFilter1d,
    GlobalFilter2d,
    HighPass1d,
    HighPass2d,
    LowPass1d,
    LowPass2d,
    MaxBlurPool1d,
    MaxBlurPool2d,
    PolyphasePool2d,
    blur_pool1d,
    blur_pool2d,
    blur_pool3d,
    blur_pool_adjoint1d,
    blur_pool_adjoint2d,
    blur_pool_adjoint3d,
    fft_filter1d,
    fft_filter2d,
    filter_bank1d,
    filter_bank2d,
    filtered_leaky_relu2d,
    low_high2d,
    max_blur_pool1d,
    max_blur_pool2d,
    mix_amplitude_phase2d,
    polyphase_pool2d,
    polyphase_unpool2d,
    split_bands2d,
    upfirdn2d,
)

if TYPE_CHECKING:
    from freqops import evaluation

__all__ = [
    "BandPass1d",
    "BandPass2d",
    "BlurPool1d",
    "BlurPool2d",
    "BlurPool3d",
    "FFTFilter1d",
    "FFTFilter2d",
    "FilteredLeakyReLU2d",
    "GlobalFilter1d",
    "GlobalFilter2d",
    "HighPass1d",
    "HighPass2d",
    "LowPass1d",
    "LowPass2d",
    "MaxBlurPool1d",
    "MaxBlurPool2d",
    "PolyphasePool2d",
    "__version__",
    "blur_pool1d",
    "blur_pool2d",
    "blur_pool3d",
    "blur_pool_adjoint1d",
    "blur_pool_adjoint2d",
    "blur_pool_adjoint3d",
    "evaluation",
    "explain",
    "fft_filter1d",
    "fft_filter2d",
    "filter_bank1d",
    "filter_bank2d",
    "filtered_leaky_relu2d",
    "filters",
    "low_high2d",
    "max_blur_pool1d",
    "max_blur_pool2d",
    "mix_amplitude_phase2d",
    "polyphase_pool2d",
    "polyphase_unpool2d",
    "split_bands2d",
    "upfirdn2d",
]


def __getattr__(name: str) -> ModuleType:
    # On first use: it brings tables and progress bars that a training script has no need of.
    if name == "evaluation":
        return importlib.import_module("freqops.evaluation")
    raise AttributeError(f"module 'freqops' has no attribute {name!r}")
