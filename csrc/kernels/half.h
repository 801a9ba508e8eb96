// Half-precision elements and their conversion in plain integer arithmetic, without branches so that loops over rows
// vectorise. `static`: this header is compiled for several instruction sets, whose copies must stay apart.
#pragma once

#include <cstdint>
#include <cstring>

namespace freqops {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static inline float widen(BFloat16 value) { return float_of(static_cast<uint32_t>(value.bits) << 16); }
static inline float widen(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16, magnitude = value.bits & 0x7fffu;
  // Exponents move from bias 15 to 127; infinity and NaN move once more; subnormals are magnitude * 2^-24.
  const uint32_t normal = (magnitude << 13) + (112u << 23) + (magnitude >= 0x7c00u ? 112u << 23 : 0u);
  const uint32_t subnormal = bits_of(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  return float_of((magnitude < 0x400u ? subnormal : normal) | sign);
}

// Round to nearest, ties to even; NaN stays NaN.
static inline BFloat16 round_to_bfloat16(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded)};
}
static inline Half round_to_half(float value) {
  const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Below 2^-14 adding 0.5 shifts the value to the last bits of a float, which rounds it as a subnormal.
  const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x47800000u ? 0x7c00u : half;
  half = magnitude > 0x7f800000u ? 0x7e00u : half;
  return {static_cast<uint16_t>(half | ((bits >> 16) & 0x8000u))};
}

}  // namespace freqops
