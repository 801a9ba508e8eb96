// What a thread of the stencil form does with one row, in either layout. A Columns class has
//   Element, kTaps, kWindow, kSums, kBlocksPerSm
//   Maxima                   the maxima along one row of x that the thread's outputs see
//   row(r, maxima)           those of row r
//   rows(r, maxima)          those of two rows, all loads first, where kBothRows says so
//   blur(maxima, sums)       along the row, for each of the kSums outputs
//   store(r, sums)           as row r of the result
//
// Padding of the maximum never shows in its result: a window holds an element of the image, so that
// reading the nearest one again, or the lowest number there is, gives the same maximum. Positions in the
// padding of the blur are replaced afterwards, by the few threads that have one.
#pragma once

#include "stencil.cuh"

namespace freqops::cuda {

struct StencilArguments {
  const void* x;
  void* y;
  const float *taps_h, *taps_w;
  StencilAxis h, w;  // of the map of maxima
  Strips strips;
  int height, width, channels;  // of x; in NCHW channels are planes
  int max_padding_h, max_padding_w;
  int64_t x_plane, y_plane;  // elements from one to the next
  int x_row, y_row;
  int store_bytes;  // NCHW: what the outputs of every thread are aligned to
};

template <int Taps>
FREQOPS_HOST_DEVICE void load_taps(const float* from, float (&taps)[Taps]) {
  static_for<Taps>([&](auto i) { taps[i] = load_element(from + i); });
}

// Where positions beside the map are read from, for those that are any.
inline constexpr int kInside = -2, kZero = -1;
FREQOPS_HOST_DEVICE int source_beside(const StencilAxis& axis, int position) {
  return position >= 0 && position < axis.size ? kInside : axis.source(position);
}

}  // namespace freqops::cuda
