#include "separable.cuh"

#include "device_launcher.cuh"

FREQOPS_DEFINE_SEPARABLE(DeviceLauncher)
