// Which form takes a problem: asked by the launchers, and by whoever wants to know.
#pragma once

#include "blur_pool.h"
#include "blur_pool_tile.h"

namespace freqops::cuda {

// A stride over an axis of one element says nothing.
inline bool is_stride(int64_t stride, int64_t expected, int64_t size) { return size == 1 || stride == expected; }
inline bool is_contiguous(const Images& images) {
  const int64_t plane = images.height * images.width;
  return is_stride(images.column_stride, 1, images.width) &&
         is_stride(images.row_stride, images.width, images.height) &&
         is_stride(images.channel_stride, plane, images.channels) &&
         is_stride(images.batch_stride, plane * images.channels, images.batch);
}
inline bool is_channels_last(const Images& images) {
  const int64_t row = images.width * images.channels;
  return is_stride(images.channel_stride, 1, images.channels) &&
         is_stride(images.column_stride, images.channels, images.width) &&
         is_stride(images.row_stride, row, images.height) &&
         is_stride(images.batch_stride, row * images.height, images.batch);
}

// Taps of 3 to 5 shared by all channels, stride 2, no maximum or one of 2 x 2 or 3 x 3.
inline bool is_stencil_kind(const MaxBlurPool& problem) {
  const BlurAxis &h = problem.blur.h, &w = problem.blur.w;
  const int window = problem.max_h.window;
  return problem.blur.x.element != Element::kDouble && !problem.blur.per_channel && h.taps == w.taps && h.taps >= 3 &&
         h.taps <= 5 && window == problem.max_w.window && window >= 1 && window <= 3 && h.stride == 2 && w.stride == 2;
}

// A thread of the forward stencil has up to half the taps beside a row, and in NCHW four outputs of it.
inline bool forward_stencil_takes(const MaxBlurPool& problem) {
  const Images &x = problem.blur.x, &y = problem.blur.y;
  const BlurAxis& w = problem.blur.w;
  if (!is_stencil_kind(problem)) return false;
  if (is_contiguous(x) && is_contiguous(y)) {
    const int64_t after = 2 * (w.outputs - 1) + w.taps - w.before - w.size, most = w.taps / 2;
    return w.before <= most && after <= most && w.outputs >= 4;
  }
  return is_channels_last(x) && is_channels_last(y) && x.channels <= INT_MAX / std::max(x.width, w.outputs);
}

// One that goes back walks through the positions outside one by one, and has 32-bit offsets in a plane, those included
// that are not used.
inline bool backward_stencil_takes(const MaxBlurPool& problem) {
  constexpr int64_t kMostPadding = 16, kBorder = 32;
  const auto has_little_padding = [](const BlurAxis& axis) {
    const int64_t end = (axis.outputs - 1) * axis.stride + axis.taps - axis.before;
    return axis.before <= kMostPadding && end - axis.size <= kMostPadding;
  };
  const auto fits = [](const Images& images) {
    return (images.height + kBorder) * images.row_stride + (images.width + kBorder) * images.column_stride < INT_MAX;
  };
  return is_stencil_kind(problem) && has_little_padding(problem.blur.h) && has_little_padding(problem.blur.w) &&
         fits(problem.v) && fits(problem.blur.x) && fits(problem.blur.y);
}

// The plan is made where the path is kTiled. Of the maps that go back through a maximum there is no tiled form.
inline PoolPath choose_path(PoolMap map, const MaxBlurPool& problem, int multiprocessors, TilePlan& plan) {
  const bool backward = map == PoolMap::kBlurAdjoint || map == PoolMap::kMaxBlurBackward;
  if (backward ? backward_stencil_takes(problem) : map != PoolMap::kMaxBlurSelect && forward_stencil_takes(problem)) {
    return PoolPath::kStencil;
  }
  const bool has_maximum = problem.max_h.window > 1 || problem.max_w.window > 1;
  return !(backward && has_maximum) && plan.make(multiprocessors) ? PoolPath::kTiled : PoolPath::kGeneric;
}

// For whoever only asks.
inline PoolPath pool_path(PoolMap map, const MaxBlurPool& problem) {
  const bool backward = map == PoolMap::kBlurAdjoint || map == PoolMap::kMaxBlurBackward;
  const int value_bytes = problem.blur.x.element == Element::kDouble ? sizeof(double) : sizeof(float);
  TilePlan plan(problem, backward ? PoolMap::kBlurAdjoint : map, value_bytes);
  return choose_path(map, problem, 1, plan);
}

}  // namespace freqops::cuda
