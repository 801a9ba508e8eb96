#include "device_launcher.cuh"
#include "max_blur_pool_backward.cuh"

namespace freqops::cuda {
template int run_pool_backward<DeviceLauncher, BFloat16>(const DeviceLauncher&, const MaxBlurPool&);
}  // namespace freqops::cuda
