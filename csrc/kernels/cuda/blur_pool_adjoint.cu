#include "blur_pool_adjoint.cuh"
#include "device_launcher.cuh"

FREQOPS_DEFINE_POOL_BACKWARD(DeviceLauncher)
