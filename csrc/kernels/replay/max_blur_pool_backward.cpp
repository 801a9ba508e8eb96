#include "../cuda/max_blur_pool_backward.cuh"

#include "../cuda/blur_pool_adjoint.cuh"
#include "host_launcher.h"

namespace freqops::cuda {
template int run_pool_backward<HostLauncher, float>(const HostLauncher&, const MaxBlurPool&);
template int run_pool_backward<HostLauncher, double>(const HostLauncher&, const MaxBlurPool&);
template int run_pool_backward<HostLauncher, Half>(const HostLauncher&, const MaxBlurPool&);
template int run_pool_backward<HostLauncher, BFloat16>(const HostLauncher&, const MaxBlurPool&);
}  // namespace freqops::cuda

FREQOPS_DEFINE_POOL_BACKWARD(HostLauncher)
