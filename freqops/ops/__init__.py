"""The operators, one word and one file each; importing registers fakes, derivatives and vmap."""

from freqops.ops import _cuda as _cuda
from freqops.ops import fft_filter_padded as fft_filter_padded
from freqops.ops import separable as separable
from freqops.ops import spectral_correlation as spectral_correlation
from freqops.ops.band_limited_conv import (
    BandLimitedConv1d,
    BandLimitedConv2d,
    band_for_energy,
    band_limited_conv1d,
    band_limited_conv2d,
)
from freqops.ops.blur_pool import (
    BlurPool1d,
    BlurPool2d,
    BlurPool3d,
    blur_pool1d,
    blur_pool2d,
    blur_pool3d,
)
from freqops.ops.blur_pool_adjoint import (
    blur_pool_adjoint1d,
    blur_pool_adjoint2d,
    blur_pool_adjoint3d,
)
from freqops.ops.diff_stride import DiffStride2d
from freqops.ops.fft_conv import FFTConv1d, FFTConv2d, fft_conv1d, fft_conv2d
from freqops.ops.fft_filter import FFTFilter1d, FFTFilter2d, fft_filter1d, fft_filter2d
from freqops.ops.filter_bank import filter_bank1d, filter_bank2d
from freqops.ops.filtered_leaky_relu import FilteredLeakyReLU2d, filtered_leaky_relu2d
from freqops.ops.flc_pool import FLCPool2d, flc_pool2d
from freqops.ops.global_filter import GlobalFilter1d, GlobalFilter2d
from freqops.ops.low_high import low_high2d
from freqops.ops.max_blur_pool import (
    MaxBlurPool1d,
    MaxBlurPool2d,
    max_blur_pool1d,
    max_blur_pool2d,
)
from freqops.ops.mix_amplitude_phase import mix_amplitude_phase2d
from freqops.ops.pass_filter import (
    BandPass1d,
    BandPass2d,
    HighPass1d,
    HighPass2d,
    LowPass1d,
    LowPass2d,
)
from freqops.ops.polyphase_pool import PolyphasePool2d, polyphase_pool2d, polyphase_unpool2d
from freqops.ops.spectral_conv import SpectralConv2d, spectral_conv2d
from freqops.ops.spectral_pool import (
    SpectralPool1d,
    SpectralPool2d,
    spectral_pool1d,
    spectral_pool2d,
)
from freqops.ops.split_bands import split_bands2d
from freqops.ops.upfirdn import upfirdn2d

__all__ = [
    "BandLimitedConv1d",
    "BandLimitedConv2d",
    "BandPass1d",
    "BandPass2d",
    "BlurPool1d",
    "BlurPool2d",
    "BlurPool3d",
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
    "band_for_energy",
    "band_limited_conv1d",
    "band_limited_conv2d",
    "blur_pool1d",
    "blur_pool2d",
    "blur_pool3d",
    "blur_pool_adjoint1d",
    "blur_pool_adjoint2d",
    "blur_pool_adjoint3d",
    "fft_conv1d",
    "fft_conv2d",
    "fft_filter1d",
    "fft_filter2d",
    "filter_bank1d",
    "filter_bank2d",
    "filtered_leaky_relu2d",
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
