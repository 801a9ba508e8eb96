// The element types of images. Arithmetic is float32 throughout: a half-precision element is
// widened when it is read and rounded once, to nearest even, when it is written. On the host the
// conversions are those of half.h: the replay needs no CUDA header.
#pragma once

#include <cstdint>

#include "../fft/complex.h"
#include "../half.h"
#include "../images.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace freqops::cuda {

FREQOPS_HOST_DEVICE float to_float(float value) { return value; }
FREQOPS_HOST_DEVICE void from_float(float value, float& element) { element = value; }

#if defined(__CUDA_ARCH__)
FREQOPS_HOST_DEVICE float to_float(Half value) { return __half2float(__ushort_as_half(value.bits)); }
FREQOPS_HOST_DEVICE float to_float(BFloat16 value) { return __uint_as_float(static_cast<uint32_t>(value.bits) << 16); }
FREQOPS_HOST_DEVICE void from_float(float value, Half& element) {
  element.bits = __half_as_ushort(__float2half_rn(value));
}
FREQOPS_HOST_DEVICE void from_float(float value, BFloat16& element) {
  element.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
}
#else
FREQOPS_HOST_DEVICE float to_float(Half value) { return widen(value); }
FREQOPS_HOST_DEVICE float to_float(BFloat16 value) { return widen(value); }
FREQOPS_HOST_DEVICE void from_float(float value, Half& element) { element = round_to_half(value); }
FREQOPS_HOST_DEVICE void from_float(float value, BFloat16& element) { element = round_to_bfloat16(value); }
#endif

// Elements of a type that is known at run time only.
struct ElementPointer {
  void* data;
  Element element;

  FREQOPS_HOST_DEVICE float load(int64_t i) const {
    if (element == Element::kFloat) return static_cast<const float*>(data)[i];
    if (element == Element::kHalf) return to_float(static_cast<const Half*>(data)[i]);
    return to_float(static_cast<const BFloat16*>(data)[i]);
  }
  FREQOPS_HOST_DEVICE void store(int64_t i, float value) const {
    if (element == Element::kFloat) {
      static_cast<float*>(data)[i] = value;
    } else if (element == Element::kHalf) {
      from_float(value, static_cast<Half*>(data)[i]);
    } else {
      from_float(value, static_cast<BFloat16*>(data)[i]);
    }
  }
};

// Infinity and NaN are what subtraction from itself does not bring to zero (no fast-math anywhere
// in freqops).
FREQOPS_HOST_DEVICE bool is_finite(float value) { return value - value == 0.0f; }
FREQOPS_HOST_DEVICE float not_a_number() {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(0x7fc00000u);
#else
  return float_of(0x7fc00000u);
#endif
}

}  // namespace freqops::cuda
