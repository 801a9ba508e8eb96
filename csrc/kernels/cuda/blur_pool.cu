// The entry points. The kernels of the fast forms are in files of their own, one per element type; the tiled and the
// generic forward ones are compiled here.
#include "blur_pool.cuh"
#include "blur_pool_adjoint.cuh"
#include "device_launcher.cuh"

FREQOPS_DEFINE_BLUR_POOL(DeviceLauncher)
FREQOPS_DEFINE_POOL_BACKWARD(DeviceLauncher)
