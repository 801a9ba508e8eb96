#include "device_launcher.cuh"
#include "fft_filter_padded.cuh"

FREQOPS_DEFINE_FFT_FILTER_PADDED(DeviceLauncher)
