// Entry points of the adjoints, by element type.
#pragma once

#include "../half.h"
#include "max_blur_pool_backward.h"

namespace freqops::cuda {

template <class Launcher>
int start_pool_backward(const Launcher& launcher, const MaxBlurPool& problem) {
  switch (problem.v.element) {
    case Element::kFloat:
      return run_pool_backward<Launcher, float>(launcher, problem);
    case Element::kDouble:
      return run_pool_backward<Launcher, double>(launcher, problem);
    case Element::kHalf:
      return run_pool_backward<Launcher, Half>(launcher, problem);
    default:
      return run_pool_backward<Launcher, BFloat16>(launcher, problem);
  }
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_POOL_BACKWARD(Launcher)                                                     \
  namespace freqops::cuda {                                                                        \
  int blur_pool_adjoint(const BlurPool& problem, void* stream) {                                   \
    return start_pool_backward(Launcher(stream), MaxBlurPool{problem, {1, 0}, {1, 0}, problem.x}); \
  }                                                                                                \
  int max_blur_pool_backward(const MaxBlurPool& problem, void* stream) {                           \
    return start_pool_backward(Launcher(stream), problem);                                         \
  }                                                                                                \
  }
