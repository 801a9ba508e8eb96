// Planes that a kernel cannot read in place (half types, channels_last, rows narrower than a vector) are gathered into
// contiguous rows of the compute type and scattered back, one pair at a time.
#pragma once

#include <bit>

#include "../images.h"
#include "lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {

struct HalfBits {
  uint16_t bits;
};
struct BFloat16Bits {
  uint16_t bits;
};

template <class T>
inline T widen(T v) {
  return v;
}
inline float widen(BFloat16Bits v) { return std::bit_cast<float>(static_cast<uint32_t>(v.bits) << 16); }
inline float widen(HalfBits v) {
  const uint32_t sign = static_cast<uint32_t>(v.bits & 0x8000u) << 16, magnitude = v.bits & 0x7fffu;
  // Exponents move from bias 15 to 127; infinities and NaN move once more; subnormals are magnitude * 2^-24.
  uint32_t bits = (magnitude << 13) + (112u << 23) + (magnitude >= 0x7c00u ? 112u << 23 : 0u);
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  bits = magnitude < 0x400u ? subnormal : bits;
  return std::bit_cast<float>(bits | sign);
}

// Round to nearest, ties to even.
template <class To, class T>
inline To narrow(T v) {
  if constexpr (std::is_same_v<To, BFloat16Bits>) {
    const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(v));
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return {static_cast<uint16_t>(is_nan ? 0x7fc0u : rounded)};
  } else if constexpr (std::is_same_v<To, HalfBits>) {
    const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(v));
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    // Below 2^-14 adding 0.5 shifts the value to the last bits of a float, which rounds it as a subnormal.
    const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
    half = magnitude >= 0x47800000u ? 0x7c00u : half;
    half = magnitude > 0x7f800000u ? 0x7e00u : half;
    return {static_cast<uint16_t>(half | ((bits >> 16) & 0x8000u))};
  } else {
    return static_cast<To>(v);
  }
}

// Calls visit with a typed null pointer for the element type, if it can be computed in T.
template <class T, class Visit>
void visit_element(Element element, Visit&& visit) {
  if constexpr (std::is_same_v<T, double>) {
    visit(static_cast<double*>(nullptr));
  } else {
    switch (element) {
      case Element::kHalf:
        visit(static_cast<HalfBits*>(nullptr));
        break;
      case Element::kBFloat16:
        visit(static_cast<BFloat16Bits*>(nullptr));
        break;
      default:
        visit(static_cast<float*>(nullptr));
        break;
    }
  }
}

// How wide the rows of a staged plane are: never narrower than a vector, so that whole vectors can be read.
template <class T>
inline int64_t staged_stride(int64_t width) {
  return width > kLanes<T> ? width : kLanes<T>;
}

// True where vectors of T can be read from and written to the planes directly.
template <class T>
bool is_direct(const Images& images) {
  const bool same = std::is_same_v<T, double> || images.element == Element::kFloat;
  return same && images.column_stride == 1 && images.row_stride == images.width && images.width >= kLanes<T>;
}

template <class T>
void gather_plane(const Images& images, int64_t n, int64_t c, T* plane, int64_t stride) {
  visit_element<T>(images.element, [&](auto* tag) {
    using From = std::remove_pointer_t<decltype(tag)>;
    const From* source = static_cast<const From*>(images.data) + images.offset(n, c);
    for (int64_t h = 0; h < images.height; ++h) {
      const From* row = source + h * images.row_stride;
      T* out = plane + h * stride;
      if (images.column_stride == 1) {
        for (int64_t w = 0; w < images.width; ++w) out[w] = widen(row[w]);
      } else {
        for (int64_t w = 0; w < images.width; ++w) out[w] = widen(row[w * images.column_stride]);
      }
      for (int64_t w = images.width; w < stride; ++w) out[w] = 0;
    }
  });
}

template <class T>
void scatter_plane(const Images& images, int64_t offset, const T* plane, int64_t stride) {
  visit_element<T>(images.element, [&](auto* tag) {
    using To = std::remove_pointer_t<decltype(tag)>;
    To* target = static_cast<To*>(images.data) + offset;
    for (int64_t h = 0; h < images.height; ++h) {
      To* row = target + h * images.row_stride;
      const T* in = plane + h * stride;
      if (images.column_stride == 1) {
        for (int64_t w = 0; w < images.width; ++w) row[w] = narrow<To>(in[w]);
      } else {
        for (int64_t w = 0; w < images.width; ++w) row[w * images.column_stride] = narrow<To>(in[w]);
      }
    }
  });
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
