// Separable FIR low-pass with stride (anti-aliased pooling), its transpose, and both behind a maximum at stride 1.
//
// Along one axis, with k taps, stride s and p samples of padding before the first:
//   y[o] = sum_j taps[j] * x[source_index(o s + j - p)]          blur_pool
//   x[i] = sum over the same (o, j) that read i of taps[j] * y[o]   blur_pool_adjoint
#pragma once

#include <cstddef>
#include <type_traits>

#include "fft/complex.h"
#include "images.h"

namespace freqops {

enum class PaddingMode : int { kReflect, kReplicate, kZeros, kCircular };

// The sample that stands at position i of an axis of n samples with padding, -1 where that is a zero. Reflection goes
// back and forth between the two borders as often as it takes, without repeating them; a single sample is its own.
template <class Int>
FREQOPS_HOST_DEVICE Int source_index(Int i, std::type_identity_t<Int> n, PaddingMode mode) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PaddingMode::kReplicate:
      return i < 0 ? 0 : n - 1;
    case PaddingMode::kCircular: {
      const Int rest = i % n;
      return rest < 0 ? rest + n : rest;
    }
    case PaddingMode::kReflect: {
      if (n == 1) return 0;
      const Int period = 2 * (n - 1), rest = (i % period + period) % period;
      return rest < n ? rest : period - rest;
    }
    default:
      return -1;
  }
}

enum class PoolMap { kBlur, kBlurAdjoint, kMaxBlur, kMaxBlurSelect, kMaxBlurBackward };

// One axis of the blur. `size` samples (of the map that is blurred) become `outputs`; before may be negative (a crop).
struct BlurAxis {
  int64_t size, outputs;
  int taps;
  int64_t stride, before;
  PaddingMode mode;
};

// One axis of the maximum at stride 1: size + 2 * padding - window + 1 outputs; padding is -inf.
struct MaxAxis {
  int window;
  int padding;
};

// x is what the forward map reads and y what it gives, whichever of the two is the output. Taps are of the compute type.
struct BlurPool {
  Images x, y;
  BlurAxis h, w;
  const void* taps_h;  // [taps], or [channels][taps]
  const void* taps_w;
  bool per_channel;
  bool stream;  // the output is larger than the caches: write past them where the kernel can
};

// max_blur_pool: y = blur(max of x). select: y = blur(v where the maximum of x is), the first one of a window in
// row-major order, the last NaN if there is one. backward: v = the transpose of that map applied to y.
struct MaxBlurPool {
  BlurPool blur;  // blur.h.size and blur.w.size are those of the map of maxima
  MaxAxis max_h, max_w;
  Images v;  // as blur.x
};

}  // namespace freqops
