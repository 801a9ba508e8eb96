// The element types of images. Arithmetic is float32 throughout: a half-precision element is
// widened when it is read and rounded once, to nearest even, when it is written. On the host the
// conversions are spelled out, so that the replay needs no CUDA header and gives the same bits.
#pragma once

#include <cstdint>

#include "../fft/complex.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif
#if !defined(__CUDA_ARCH__)
#include <bit>
#endif

namespace freqops::cuda {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

#if !defined(__CUDA_ARCH__)
inline float widen_half(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
  if (magnitude < 0x0400u) {  // subnormal: a multiple of 2^-24
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return sign ? -value : value;
  }
  // Infinity and NaN keep the largest exponent.
  const uint32_t rebias = magnitude >= 0x7c00u ? 0x70000000u : 0x38000000u;
  return std::bit_cast<float>(sign | ((magnitude << 13) + rebias));
}
inline uint16_t round_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7fffu);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and above
  if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 puts the last bit of a half, 2^-24, into the last bit of the float.
    const uint32_t shifted = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f);
    return static_cast<uint16_t>(sign | (shifted - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}
inline uint16_t round_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  // Rounding could carry a NaN into infinity.
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
#endif

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
FREQOPS_HOST_DEVICE float to_float(Half value) { return widen_half(value.bits); }
FREQOPS_HOST_DEVICE float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
FREQOPS_HOST_DEVICE void from_float(float value, Half& element) { element.bits = round_to_half(value); }
FREQOPS_HOST_DEVICE void from_float(float value, BFloat16& element) { element.bits = round_to_bfloat16(value); }
#endif

// Infinity and NaN are what subtraction from itself does not bring to zero (no fast-math anywhere
// in freqops).
FREQOPS_HOST_DEVICE bool is_finite(float value) { return value - value == 0.0f; }

}  // namespace freqops::cuda
