// Anti-aliased pooling on CUDA: the maps of ../blur_pool.h as kernels, each with one read of its input
// and one write of its output. Two forms of each map:
//
//   stencil   taps of 3 to 5 shared by all channels, stride 2, no maximum or one of 2 x 2 or 3 x 3:
//             a thread marches down a strip   blur_pool_stencil.cuh, max_blur_pool_backward_march.cuh
//   generic   everything else                 blur_pool_generic.cuh, max_blur_pool_backward_generic.cuh
#pragma once

#include "../blur_pool.h"

namespace freqops::cuda {

// All return a cudaError_t; images of any strides, with fewer than 2^31 planes of at most 2^26 elements,
// and padding of at most 2^26. Taps lie in memory of the device and are read by the kernels.
int blur_pool(const BlurPool& problem, void* stream);
int blur_pool_adjoint(const BlurPool& problem, void* stream);  // from y to x
int max_blur_pool(const MaxBlurPool& problem, void* stream);
int max_blur_pool_select(const MaxBlurPool& problem, void* stream);
int max_blur_pool_backward(const MaxBlurPool& problem, void* stream);  // from blur.x and blur.y to v

// Whether the stencil form would take the forward or the backward map of such a kind, up to what only a
// call shows: planes of fewer than four columns of outputs, padding of more than half the taps.
struct PoolKind {
  Element element;
  int taps_h, taps_w, window_h, window_w;
  int64_t stride_h, stride_w;
  bool per_channel;
};
inline bool is_stencil_kind(const PoolKind& kind) {
  return kind.element != Element::kDouble && !kind.per_channel && kind.taps_h == kind.taps_w && kind.taps_h >= 3 &&
         kind.taps_h <= 5 && kind.window_h == kind.window_w && kind.window_h >= 1 && kind.window_h <= 3 &&
         kind.stride_h == 2 && kind.stride_w == 2;
}

}  // namespace freqops::cuda
