// The generic form of the forward maps, for taps so long that no tile of what they see fits shared memory. A thread has
// one output and reads all that it sees.
#pragma once

#include "blur_pool.h"
#include "stencil.cuh"
#include "window_maximum.h"

namespace freqops::cuda {

struct GenericArguments {
  PoolMap map;
  MaxBlurPool problem;
  StencilAxis h, w;
  int64_t outputs;
  bool channels_inside;  // neighbouring threads have neighbouring channels
};

template <class T>
struct BlurGeneric {
  static constexpr int kThreads = 256, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = GenericArguments;
  using Value = value_of<T>;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const Images& y = arguments.problem.blur.y;
      int64_t rest = int64_t{index} * kThreads + thread;
      if (rest >= arguments.outputs) return;
      const auto part = [&](int64_t size) {
        const int64_t whole = rest / size, left = rest - whole * size;
        rest = whole;
        return left;
      };
      const int64_t inner = arguments.channels_inside ? part(y.channels) : 0;
      const auto column = static_cast<int>(part(y.width)), row = static_cast<int>(part(y.height));
      const int64_t channel = arguments.channels_inside ? inner : part(y.channels), image = rest;
      const int64_t to = plane(y, image, channel) + row * y.row_stride + column * y.column_stride;
      store_value(static_cast<T*>(y.data) + to, blurred(arguments, image, channel, row, column));
    });
  }

 private:
  static FREQOPS_HOST_DEVICE Value blurred(const Arguments& arguments, int64_t image, int64_t channel, int row,
                                           int column) {
    const BlurPool& blur = arguments.problem.blur;
    const int64_t taps_of = blur.per_channel ? channel : 0;
    const Value* taps_h = static_cast<const Value*>(blur.taps_h) + taps_of * blur.h.taps;
    const Value* taps_w = static_cast<const Value*>(blur.taps_w) + taps_of * blur.w.taps;
    const int64_t first = plane(blur.x, image, channel), second = plane(arguments.problem.v, image, channel);
    Value sum = 0;
    FREQOPS_ONE_TURN
    for (int j = 0; j < blur.h.taps; ++j) {
      const int r = arguments.h.source(row * arguments.h.stride - arguments.h.before + j);
      if (r < 0) continue;
      Value along = 0;
      FREQOPS_ONE_TURN
      for (int i = 0; i < blur.w.taps; ++i) {
        const int c = arguments.w.source(column * arguments.w.stride - arguments.w.before + i);
        if (c >= 0) along += load_element(taps_w + i) * value(arguments, first, second, r, c);
      }
      sum += load_element(taps_h + j) * along;
    }
    return sum;
  }

  static FREQOPS_HOST_DEVICE int64_t plane(const Images& images, int64_t image, int64_t channel) {
    return image * images.batch_stride + channel * images.channel_stride;
  }
  static FREQOPS_HOST_DEVICE Value element(const Images& images, int64_t offset, int64_t row, int64_t column) {
    const T* data = static_cast<const T*>(images.data) + offset;
    return to_float(load_element(data + row * images.row_stride + column * images.column_stride));
  }
  static FREQOPS_HOST_DEVICE Value value(const Arguments& arguments, int64_t first, int64_t second, int row,
                                         int column) {
    const MaxBlurPool& problem = arguments.problem;
    const Images& x = problem.blur.x;
    if (arguments.map == PoolMap::kBlur) return element(x, first, row, column);
    const Extent rows(row, problem.max_h, x.height), columns(column, problem.max_w, x.width);
    Value best = to_float(lowest<T>());
    int best_row = rows.first, best_column = columns.first;
    for (int r = rows.first; r < rows.end; ++r) {
      for (int c = columns.first; c < columns.end; ++c) {
        const Value candidate = element(x, first, r, c);
        if (!replaces(candidate, best)) continue;
        best = candidate;
        best_row = r;
        best_column = c;
      }
    }
    if (arguments.map == PoolMap::kMaxBlur) return best;
    return element(problem.v, second, best_row, best_column);
  }
  // The part of a window that lies in the image.
  struct Extent {
    int first, end;
    FREQOPS_HOST_DEVICE Extent(int position, const MaxAxis& axis, int64_t size)
        : first(position - axis.padding), end(first + axis.window) {
      if (first < 0) first = 0;
      if (end > size) end = static_cast<int>(size);
    }
  };
};

template <class Launcher, class T>
int run_blur_generic(const Launcher& launcher, const MaxBlurPool& problem, PoolMap map) {
  using Program = BlurGeneric<T>;
  const Images& y = problem.blur.y;
  const int64_t outputs = y.planes() * y.height * y.width;
  const GenericArguments arguments{.map = map,
                                   .problem = problem,
                                   .h = StencilAxis(problem.blur.h),
                                   .w = StencilAxis(problem.blur.w),
                                   .outputs = outputs,
                                   .channels_inside = y.channels > 1 && y.channel_stride == 1};
  return launcher.template run<Program>((outputs + Program::kThreads - 1) / Program::kThreads, 0, arguments);
}

}  // namespace freqops::cuda
