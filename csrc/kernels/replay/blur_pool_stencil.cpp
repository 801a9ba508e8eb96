#include "../cuda/blur_pool_stencil.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template bool run_blur_stencil<HostLauncher, float>(const HostLauncher&, const MaxBlurPool&, int&);
template bool run_blur_stencil<HostLauncher, Half>(const HostLauncher&, const MaxBlurPool&, int&);
template bool run_blur_stencil<HostLauncher, BFloat16>(const HostLauncher&, const MaxBlurPool&, int&);
}  // namespace freqops::cuda
