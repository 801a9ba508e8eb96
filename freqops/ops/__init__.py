"""The operators, one word and one file each; importing registers fakes, derivatives and vmap."""

from freqops.ops import _cuda as _cuda
from freqops.ops import spectral_correlation as spectral_correlation
from freqops.ops.fft_filter import FFTFilter1d, FFTFilter2d, fft_filter1d, fft_filter2d
from freqops.ops.filter_bank import filter_bank1d, filter_bank2d
from freqops.ops.global_filter import GlobalFilter1d, GlobalFilter2d
from freqops.ops.low_high import low_high2d
from freqops.ops.mix_amplitude_phase import mix_amplitude_phase2d
from freqops.ops.pass_filter import (
    BandPass1d,
    BandPass2d,
    HighPass1d,
    HighPass2d,
    LowPass1d,
    LowPass2d,
)
from freqops.ops.split_bands import split_bands2d

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
    "fft_filter1d",
    "fft_filter2d",
    "filter_bank1d",
    "filter_bank2d",
    "low_high2d",
    "mix_amplitude_phase2d",
    "split_bands2d",
]
