// The adjoints of the blur, plain or behind a maximum. The launchers are compiled in a translation unit
// for each element type.
#pragma once

#include "blur_pool.h"

namespace freqops::cuda {

// Of max_blur_pool, from y to v; with windows of 1, where x is not read, of blur_pool. A cudaError_t.
template <class Launcher, class T>
int run_pool_backward(const Launcher& launcher, const MaxBlurPool& problem);

}  // namespace freqops::cuda
