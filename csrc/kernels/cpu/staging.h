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
