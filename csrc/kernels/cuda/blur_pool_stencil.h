// The stencil form of the forward maps for blur_pool.cuh. The launchers are compiled in a translation
// unit for each element type.
#pragma once

#include "blur_pool.h"

namespace freqops::cuda {

// Runs the map, plain for windows of 1, where forward_stencil_takes (blur_pool_path.h) the problem. A cudaError_t.
template <class Launcher, class T>
int run_blur_stencil(const Launcher& launcher, const MaxBlurPool& problem);

}  // namespace freqops::cuda
