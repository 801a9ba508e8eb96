#include "blur_pool.cuh"
#include "device_launcher.cuh"

FREQOPS_DEFINE_BLUR_POOL(DeviceLauncher)
