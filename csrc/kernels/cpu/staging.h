// Planes that a kernel cannot read in place (half types, channels_last, rows narrower than a vector) are gathered into
// contiguous rows of the compute type and scattered back, one pair at a time.
#pragma once

#include "../half.h"
#include "../images.h"
#include "lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {

inline float widen(float v) { return v; }
inline double widen(double v) { return v; }
using freqops::widen;

template <class To, class T>
inline To narrow(T v) {
  if constexpr (std::is_same_v<To, BFloat16>) {
    return round_to_bfloat16(static_cast<float>(v));
  } else if constexpr (std::is_same_v<To, Half>) {
    return round_to_half(static_cast<float>(v));
  } else {
    return static_cast<To>(v);
  }
}

// --- rows of half types, a vector at a time -------------------------------------------------------------------------

typedef uint16_t HalfLanes __attribute__((vector_size(FREQOPS_VECTOR_BYTES / 2)));
typedef uint32_t BitLanes __attribute__((vector_size(FREQOPS_VECTOR_BYTES)));

FREQOPS_HOST_DEVICE FloatVector widen_lanes(HalfLanes bits, BFloat16*) {
  return reinterpret_cast<FloatVector>(__builtin_convertvector(bits, BitLanes) << 16);
}
FREQOPS_HOST_DEVICE HalfLanes narrow_lanes(FloatVector v, BFloat16*) {
  const BitLanes bits = reinterpret_cast<BitLanes>(v);
  const BitLanes rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const BitLanes nan = BitLanes{} + 0x7fc0u;
  return __builtin_convertvector((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded, HalfLanes);
}
FREQOPS_HOST_DEVICE FloatVector widen_lanes(HalfLanes bits, Half*) {
#if defined(__AVX512F__)
  return (FloatVector)_mm512_maskz_cvtph_ps(0xffff, (__m256i)bits);
#elif defined(__F16C__)
  return (FloatVector)_mm256_cvtph_ps((__m128i)bits);
#else
  FloatVector v;
  for (int i = 0; i < kLanes<float>; ++i) v[i] = widen(Half{bits[i]});
  return v;
#endif
}
FREQOPS_HOST_DEVICE HalfLanes narrow_lanes(FloatVector v, Half*) {
#if defined(__AVX512F__)
  return (HalfLanes)_mm512_maskz_cvtps_ph(0xffff, (__m512)v, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__F16C__)
  return (HalfLanes)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
#else
  HalfLanes bits;
  for (int i = 0; i < kLanes<float>; ++i) bits[i] = round_to_half(v[i]).bits;
  return bits;
#endif
}

// The first `count` elements, 1 to kLanes: see load_first.
FREQOPS_HOST_DEVICE HalfLanes load_first_halves(const void* p, int64_t count) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return (HalfLanes)_mm256_maskz_loadu_epi16(static_cast<__mmask16>(_bzhi_u32(0xffffu, count)), p);
#else
  HalfLanes bits{};
  std::memcpy(&bits, p, count * sizeof(uint16_t));
  return bits;
#endif
}
FREQOPS_HOST_DEVICE void store_first_halves(void* p, int64_t count, HalfLanes bits) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>(_bzhi_u32(0xffffu, count)), (__m256i)bits);
#else
  std::memcpy(p, &bits, count * sizeof(uint16_t));
#endif
}

// A row of n elements, to or from the type that is computed in.
template <class From, class T>
void widen_row(const From* in, int64_t n, T* out) {
  if constexpr (std::is_same_v<From, T>) {
    std::memcpy(out, in, n * sizeof(T));
  } else {
    constexpr int64_t kStep = kLanes<float>;
    From* const type = nullptr;
    int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      HalfLanes bits;
      std::memcpy(&bits, in + i, sizeof bits);
      store<float>(out + i, widen_lanes(bits, type));
    }
    if (i < n) store_first<float>(out + i, n - i, widen_lanes(load_first_halves(in + i, n - i), type));
  }
}
template <class To, class T>
void narrow_row(const T* in, int64_t n, To* out) {
  if constexpr (std::is_same_v<To, T>) {
    std::memcpy(out, in, n * sizeof(T));
  } else {
    constexpr int64_t kStep = kLanes<float>;
    To* const type = nullptr;
    int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      const HalfLanes bits = narrow_lanes(load<float>(in + i), type);
      std::memcpy(out + i, &bits, sizeof bits);
    }
    if (i < n) store_first_halves(out + i, n - i, narrow_lanes(load_first<float>(in + i, n - i), type));
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
        visit(static_cast<Half*>(nullptr));
        break;
      case Element::kBFloat16:
        visit(static_cast<BFloat16*>(nullptr));
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
void gather_plane(const Images& images, int64_t offset, T* plane, int64_t stride) {
  visit_element<T>(images.element, [&](auto* tag) {
    using From = std::remove_pointer_t<decltype(tag)>;
    const From* source = static_cast<const From*>(images.data) + offset;
    for (int64_t h = 0; h < images.height; ++h) {
      const From* row = source + h * images.row_stride;
      T* out = plane + h * stride;
      if (images.column_stride == 1) {
        widen_row(row, images.width, out);
      } else {
        for (int64_t w = 0; w < images.width; ++w) out[w] = widen(row[w * images.column_stride]);
      }
      for (int64_t w = images.width; w < stride; ++w) out[w] = 0;
    }
  });
}

template <class T>
void gather_plane(const Images& images, int64_t n, int64_t c, T* plane, int64_t stride) {
  gather_plane(images, images.offset(n, c), plane, stride);
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
        narrow_row(in, images.width, row);
      } else {
        for (int64_t w = 0; w < images.width; ++w) row[w * images.column_stride] = narrow<To>(in[w]);
      }
    }
  });
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
