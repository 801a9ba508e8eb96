#include "../cuda/blur_pool_stencil.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template int run_blur_stencil<HostLauncher, float>(const HostLauncher&, const MaxBlurPool&);
template int run_blur_stencil<HostLauncher, Half>(const HostLauncher&, const MaxBlurPool&);
template int run_blur_stencil<HostLauncher, BFloat16>(const HostLauncher&, const MaxBlurPool&);
}  // namespace freqops::cuda
