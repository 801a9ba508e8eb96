#include "device_launcher.cuh"
#include "resize_spectrum.cuh"

FREQOPS_DEFINE_RESIZE_SPECTRUM(DeviceLauncher)
