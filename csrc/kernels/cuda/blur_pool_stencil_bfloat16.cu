#include "blur_pool_stencil.cuh"
#include "device_launcher.cuh"

namespace freqops::cuda {
template int run_blur_stencil<DeviceLauncher, BFloat16>(const DeviceLauncher&, const MaxBlurPool&);
}  // namespace freqops::cuda
