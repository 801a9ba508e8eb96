"""Fused frequency-domain operators for PyTorch: filters, banks, anti-aliased pooling, sweeps."""

import importlib
from typing import TYPE_CHECKING, Any

# First: it registers the ops that everything below calls.
from freqops import _libraries as _libraries  # isort: skip
from freqops import filters
from freqops._C import __version__
from freqops.explain import explain
from freqops.ops import (
    BandLimitedConv1d,
    BandLimitedConv2d,
    BandPass1d,
    BandPass2d,
    BlurPool1d,
    BlurPool2d,
    BlurPool3d,
    DiffStride2d,
    FFTConv1d,
    FFTConv2d,
    FFTFilter1d,
    FFTFilter2d,
    FilteredLeakyReLU2d,
    FLCPool2d,
    GlobalFilter1d,
    GlobalFilter2d,
    HighPass1d,
    HighPass2d,
    LowPass1d,
    LowPass2d,
    MaxBlurPool1d,
    MaxBlurPool2d,
    PolyphasePool2d,
    SpectralConv2d,
    SpectralPool1d,
    SpectralPool2d,
    band_for_energy,
    band_limited_conv1d,
    band_limited_conv2d,
    blur_pool1d,
    blur_pool2d,
    blur_pool3d,
    blur_pool_adjoint1d,
    blur_pool_adjoint2d,
    blur_pool_adjoint3d,
    fft_conv1d,
    fft_conv2d,
    fft_filter1d,
    fft_filter2d,
    filter_bank1d,
    filter_bank2d,
    filtered_leaky_relu2d,
    flc_pool2d,
    low_high2d,
    max_blur_pool1d,
    max_blur_pool2d,
    mix_amplitude_phase2d,
    polyphase_pool2d,
    polyphase_unpool2d,
    spectral_conv2d,
    spectral_pool1d,
    spectral_pool2d,
    split_bands2d,
    upfirdn2d,
)

if TYPE_CHECKING:
    from freqops import evaluation
    from freqops.surgery import Conversion, accelerate, antialias, band_limit

__all__ = [
    "BandLimitedConv1d",
    "BandLimitedConv2d",
    "BandPass1d",
    "BandPass2d",
    "BlurPool1d",
    "BlurPool2d",
    "BlurPool3d",
    "Conversion",
    "DiffStride2d",
    "FFTConv1d",
    "FFTConv2d",
    "FFTFilter1d",
    "FFTFilter2d",
    "FLCPool2d",
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
    "SpectralConv2d",
    "SpectralPool1d",
    "SpectralPool2d",
    "__version__",
    "accelerate",
    "antialias",
    "band_for_energy",
    "band_limit",
    "band_limited_conv1d",
    "band_limited_conv2d",
    "blur_pool1d",
    "blur_pool2d",
    "blur_pool3d",
    "blur_pool_adjoint1d",
    "blur_pool_adjoint2d",
    "blur_pool_adjoint3d",
    "evaluation",
    "explain",
    "fft_conv1d",
    "fft_conv2d",
    "fft_filter1d",
    "fft_filter2d",
    "filter_bank1d",
    "filter_bank2d",
    "filtered_leaky_relu2d",
    "filters",
    "flc_pool2d",
    "low_high2d",
    "max_blur_pool1d",
    "max_blur_pool2d",
    "mix_amplitude_phase2d",
    "polyphase_pool2d",
    "polyphase_unpool2d",
    "spectral_conv2d",
    "spectral_pool1d",
    "spectral_pool2d",
    "split_bands2d",
    "upfirdn2d",
]


def __getattr__(name: str) -> Any:
    # On first use: they bring tables and progress bars, and what traces models, that a training
    # script has no need of.
    if name == "evaluation":
        return importlib.import_module("freqops.evaluation")
    if name in ("Conversion", "accelerate", "antialias", "band_limit"):
        return getattr(importlib.import_module("freqops.surgery"), name)
    raise AttributeError(f"module 'freqops' has no attribute {name!r}")
