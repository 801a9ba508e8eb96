#include "device_launcher.cuh"
#include "fft_filter_forms.h"

FREQOPS_DEFINE_FFT_FILTER(DeviceLauncher)
