// Anti-aliased pooling on CUDA: the maps of ../blur_pool.h as kernels, each with one read of its input
// and one write of its output. Three forms, which blur_pool_path.h chooses from:
//
//   stencil   taps of 3 to 5 shared by all channels, stride 2, no maximum or one of 2 x 2 or 3 x 3:
//             a thread marches down a strip   blur_pool_stencil.cuh, max_blur_pool_backward_march.cuh
//   tiled     any taps, strides, windows, float64 too, but not what goes back through a maximum: a block has a
//             part of its input in shared memory   blur_pool_tile.cuh
//   generic   everything else: a thread for each output, which reads all that it sees
//             blur_pool_generic.cuh, max_blur_pool_backward_generic.cuh
#pragma once

#include "../blur_pool.h"

namespace freqops::cuda {

enum class PoolPath { kStencil, kTiled, kGeneric };

// All return a cudaError_t; images of any strides, with fewer than 2^31 planes of at most 2^26 elements,
// and padding of at most 2^26. Taps lie in memory of the device and are read by the kernels.
int blur_pool(const BlurPool& problem, void* stream);
int blur_pool_adjoint(const BlurPool& problem, void* stream);  // from y to x
int max_blur_pool(const MaxBlurPool& problem, void* stream);
int max_blur_pool_select(const MaxBlurPool& problem, void* stream);
int max_blur_pool_backward(const MaxBlurPool& problem, void* stream);  // from blur.x and blur.y to v

}  // namespace freqops::cuda
