#include "blur_pool_stencil.cuh"
#include "device_launcher.cuh"

namespace freqops::cuda {
template bool run_blur_stencil<DeviceLauncher, Half>(const DeviceLauncher&, const MaxBlurPool&, int&);
}  // namespace freqops::cuda
