// Planes of kLanes adjacent channels at a time, to and from images in which a pixel's channels lie side by side. One
// plane at a time would take one number of each line of the cache; here whole vectors of channels are transposed.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "staging.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Where planes lie in a thread's memory: plane i at data + i * plane, its rows `stride` elements apart. A row shorter than
// a vector is written as one, from the first to the last, so a vector has to fit behind the last one.
template <class T>
struct StagedPlanes {
  T* data;
  size_t plane;
  int64_t stride;

  // Planes a multiple of 4 KiB apart would share their places in the first cache.
  static constexpr size_t kApart = 17 * 64 / sizeof(T);
};

// Of `images`, from the element `offset` on: planes 0 to `channels` of `planes`, 1 to kLanes. Behind the images' width
// a row has zeros.
template <class T>
void gather_channels(const Images& images, int64_t offset, int channels, const StagedPlanes<T>& planes) {
  constexpr int kL = kLanes<T>;
  visit_element<T>(images.element, [&](auto* tag) {
    using From = std::remove_pointer_t<decltype(tag)>;
    const From* source = static_cast<const From*>(images.data) + offset;
    const int64_t step = images.column_stride, width = images.width;
    alignas(64) T pixels[kL * kL];
    const auto put = [&](int64_t row, int64_t column, const T* from, ptrdiff_t from_stride) {
      T* out = planes.data + row * planes.stride + column;
      if (channels == kL) return transpose<T>(from, from_stride, out, planes.plane);
      alignas(64) T square[kL * kL];
      transpose<T>(from, from_stride, square, kL);
      for (int c = 0; c < channels; ++c) std::memcpy(out + c * planes.plane, square + c * kL, sizeof(T) * kL);
    };
    for (int64_t h = 0; h < images.height; ++h) {
      const From* row = source + h * images.row_stride;
      for (int64_t begin = 0; begin < width; begin += kL) {
        // The last block overlaps the one before it; only a row shorter than a block has none.
        const int64_t w = std::max<int64_t>(0, std::min<int64_t>(begin, width - kL));
        const int count = static_cast<int>(std::min<int64_t>(kL, width - w));
        if (std::is_same_v<From, T> && count == kL && channels == kL) {
          put(h, w, reinterpret_cast<const T*>(row + w * step), step);
          continue;
        }
        for (int i = 0; i < kL; ++i) {
          std::fill(pixels + i * kL, pixels + (i + 1) * kL, T{0});
          if (i < count) widen_row(row + (w + i) * step, channels, pixels + i * kL);
        }
        put(h, w, pixels, kL);
      }
      const int64_t end = std::max<int64_t>(width, kL);
      for (int c = 0; end < planes.stride && c < channels; ++c) {
        T* out = planes.data + c * planes.plane + h * planes.stride;
        std::fill(out + end, out + planes.stride, T{0});
      }
    }
  });
}

// The way back, of planes `first` to `last`, which go to the images' element `offset` and those behind it.
template <class T>
void scatter_channels(const Images& images, int64_t offset, int first, int last, const StagedPlanes<T>& planes) {
  constexpr int kL = kLanes<T>;
  visit_element<T>(images.element, [&](auto* tag) {
    using To = std::remove_pointer_t<decltype(tag)>;
    To* target = static_cast<To*>(images.data) + offset;
    const int64_t step = images.column_stride, width = images.width;
    const int channels = last - first;
    alignas(64) T pixels[kL * kL];
    alignas(64) T square[kL * kL] = {};
    for (int64_t h = 0; h < images.height; ++h) {
      To* row = target + h * images.row_stride;
      for (int64_t begin = 0; begin < width; begin += kL) {
        const int64_t w = std::max<int64_t>(0, std::min<int64_t>(begin, width - kL));
        const int count = static_cast<int>(std::min<int64_t>(kL, width - w));
        const T* from = planes.data + first * planes.plane + h * planes.stride + w;
        ptrdiff_t from_stride = planes.plane;
        if (channels < kL) {
          for (int c = 0; c < channels; ++c) std::memcpy(square + c * kL, from + c * planes.plane, sizeof(T) * kL);
          from = square;
          from_stride = kL;
        }
        if (std::is_same_v<To, T> && count == kL && channels == kL) {
          transpose<T>(from, from_stride, reinterpret_cast<T*>(row + w * step), step);
          continue;
        }
        transpose<T>(from, from_stride, pixels, kL);
        for (int i = 0; i < count; ++i) narrow_row(pixels + i * kL, channels, row + (w + i) * step);
      }
    }
  });
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
