#include "device_launcher.cuh"
#include "separable.cuh"

FREQOPS_DEFINE_SEPARABLE(DeviceLauncher)
