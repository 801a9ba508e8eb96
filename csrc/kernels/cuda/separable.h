// y = rows x columns^T over planes on CUDA, with the term of ../separable.h beside it. Three forms, which choose_path
// (separable_plan.h) chooses from:
//
//   plane          a block holds planes in shared memory, applies one axis, then the other   separable_plane.cuh
//   tensor_cores   the same for half types with matrix instructions                          separable_warps.cuh
//   lines          a kernel for each axis, any size: one axis alone, and planes that do not fit   separable_lines.cuh
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

enum class SeparablePath { kPlane, kTensorCores, kLines };
inline const char* name_of(SeparablePath path) {
  switch (path) {
    case SeparablePath::kPlane:
      return "plane";
    case SeparablePath::kTensorCores:
      return "tensor_cores";
    default:
      return "lines";
  }
}

// Matrices and vectors lie in memory of the device and are of the compute type: float, or double for double images.
struct SeparableProblem {
  Images x, y;                 // both contiguous, or both channels_last
  const void *rows, *columns;  // [y.height, x.height] and [y.width, x.width]; null: that axis is left as it is
  const void* outer;           // p and q of the height, p and q of the width; null: no such term
  bool mirrored;               // A[-m, -n] = A[m, n]: only outputs 0 to half of them are read of a matrix
};

// About the current device.
SeparablePath separable_path(const SeparableProblem& problem);
// What has to be handed to separable as `work`, in numbers of the compute type.
int64_t separable_work(const SeparableProblem& problem);

// A cudaError_t. Fewer than 2^31 planes of at most 2^26 elements.
int separable(const SeparableProblem& problem, void* work, void* stream);

}  // namespace freqops::cuda
