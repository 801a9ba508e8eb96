// The adjoints of blur_pool and of max_blur_pool for any taps, strides, windows, element types and memory
// layouts: a thread gathers one element of the result, from every window that it is the maximum of.
#pragma once

#include "blur_pool_adjoint_axis.h"
#include "stencil.cuh"
#include "window_maximum.h"

namespace freqops::cuda {

struct GatherArguments {
  Images x, y, v;  // v is the result
  AdjointAxis h, w;
  MaxAxis max_h, max_w;
  const void *taps_h, *taps_w;
  bool per_channel;
  int64_t elements;     // of v
  bool channels_first;  // neighbouring threads have neighbouring channels, not columns
};

template <class T>
class BackwardGather {
 public:
  using Value = value_of<T>;

  FREQOPS_HOST_DEVICE BackwardGather(const GatherArguments& arguments, int64_t element)
      : arguments_(arguments), rest_(element) {
    const Images& v = arguments.v;
    int64_t channel;
    if (arguments.channels_first) {
      channel = take(v.channels);
      column_ = static_cast<int>(take(v.width));
      row_ = static_cast<int>(take(v.height));
    } else {
      column_ = static_cast<int>(take(v.width));
      row_ = static_cast<int>(take(v.height));
      channel = take(v.channels);
    }
    x_ = plane(arguments.x, channel);
    y_ = plane(arguments.y, channel);
    v_ = plane(v, channel);
    const int64_t own = arguments.per_channel ? channel : 0;
    taps_h_ = static_cast<const Value*>(arguments.taps_h) + own * arguments.h.taps;
    taps_w_ = static_cast<const Value*>(arguments.taps_w) + own * arguments.w.taps;
  }

  FREQOPS_HOST_DEVICE void run() const {
    const MaxAxis &h = arguments_.max_h, &w = arguments_.max_w;
    const int last_row = row_ + h.padding, last_column = column_ + w.padding;  // of windows with this element
    Value sum = 0;
    for (int row = last_row - h.window + 1; row <= last_row; ++row) {
      if (row < 0 || row >= arguments_.h.size) continue;
      for (int column = last_column - w.window + 1; column <= last_column; ++column) {
        if (column < 0 || column >= arguments_.w.size) continue;
        if (is_maximum(row - h.padding, column - w.padding)) sum += blurred(row, column);
      }
    }
    store_value(v_ + offset(arguments_.v, row_, column_), sum);
  }

 private:
  FREQOPS_HOST_DEVICE int64_t take(int64_t size) {
    const int64_t quotient = rest_ / size, index = rest_ - quotient * size;
    rest_ = quotient;
    return index;
  }
  FREQOPS_HOST_DEVICE T* plane(const Images& images, int64_t channel) const {
    return static_cast<T*>(images.data) + rest_ * images.batch_stride + channel * images.channel_stride;
  }
  static FREQOPS_HOST_DEVICE int64_t offset(const Images& images, int row, int column) {
    return row * images.row_stride + column * images.column_stride;
  }

  // Of the window whose first element would be at (top, left).
  FREQOPS_HOST_DEVICE bool is_maximum(int top, int left) const {
    const MaxAxis &h = arguments_.max_h, &w = arguments_.max_w;
    if (h.window == 1 && w.window == 1) return true;
    const int height = static_cast<int>(arguments_.x.height), width = static_cast<int>(arguments_.x.width);
    Value largest = 0;
    int place = -1, own = 0;
    for (int i = 0, number = 0; i < h.window; ++i) {
      for (int j = 0; j < w.window; ++j, ++number) {
        const int row = top + i, column = left + j;
        if (row == row_ && column == column_) own = number;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        const auto value = static_cast<Value>(to_float(load_element(x_ + offset(arguments_.x, row, column))));
        if (place >= 0 && !replaces(value, largest)) continue;
        largest = value;
        place = number;
      }
    }
    return place == own;
  }

  // The blur's adjoint at one place of the map of maxima.
  FREQOPS_HOST_DEVICE Value blurred(int row, int column) const {
    const AdjointAxis& h = arguments_.h;
    Value sum = 0;
    FREQOPS_ONE_TURN
    for (ShownAt at(h, row); !at.done(); at.next()) {
      const int last = h.last_output(at.position());
      FREQOPS_ONE_TURN
      for (int output = h.first_output(at.position()); output <= last; ++output) {
        sum += load_element(taps_h_ + (at.position() + h.before - output * h.stride)) * blurred_row(output, column);
      }
    }
    return sum;
  }
  FREQOPS_HOST_DEVICE Value blurred_row(int row, int column) const {
    const AdjointAxis& w = arguments_.w;
    Value sum = 0;
    FREQOPS_ONE_TURN
    for (ShownAt at(w, column); !at.done(); at.next()) {
      const int last = w.last_output(at.position());
      FREQOPS_ONE_TURN
      for (int output = w.first_output(at.position()); output <= last; ++output) {
        const Value tap = load_element(taps_w_ + (at.position() + w.before - output * w.stride));
        sum += tap * static_cast<Value>(to_float(load_element(y_ + offset(arguments_.y, row, output))));
      }
    }
    return sum;
  }

  const GatherArguments& arguments_;
  int64_t rest_;  // of the element's number; in the end its image
  int row_, column_;
  const T *x_, *y_;
  T* v_;
  const Value *taps_h_, *taps_w_;
};

template <class T>
struct MaxBlurPoolGather {
  static constexpr int kThreads = 256, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = GatherArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t element = int64_t{index} * kThreads + thread;
      if (element < arguments.elements) BackwardGather<T>(arguments, element).run();
    });
  }
};

}  // namespace freqops::cuda
