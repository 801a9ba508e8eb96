// The stencil form of the forward maps for blur_pool.cuh. The launchers are compiled in a translation
// unit for each element type.
#pragma once

#include "blur_pool.h"

namespace freqops::cuda {

// Runs the map, plain for windows of 1, or returns false where the form does not take the problem.
template <class Launcher, class T>
bool run_blur_stencil(const Launcher& launcher, const MaxBlurPool& problem, int& error);

}  // namespace freqops::cuda
