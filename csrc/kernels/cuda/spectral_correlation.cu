#include "device_launcher.cuh"
#include "spectral_correlation.cuh"

FREQOPS_DEFINE_SPECTRAL_CORRELATION(DeviceLauncher)
