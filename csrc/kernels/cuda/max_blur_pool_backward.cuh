// Runs what goes back: marching (max_blur_pool_backward_march.cuh), tiled (blur_pool_tile.cuh) or gathering.
#pragma once

#include "blur_pool_path.h"
#include "blur_pool_tile.cuh"
#include "max_blur_pool_backward.h"
#include "max_blur_pool_backward_generic.cuh"
#include "max_blur_pool_backward_march.cuh"

namespace freqops::cuda {

inline bool is_multiple(int64_t value, int64_t of) { return value % of == 0; }

template <class Launcher, class T>
class BackwardRun {
 public:
  BackwardRun(const Launcher& launcher, const MaxBlurPool& problem) : launcher_(launcher), problem_(problem) {}

  int run() {
    const BlurPool& blur = problem_.blur;
    constexpr int kInvalidValue = 1;  // cudaErrorInvalidValue
    if (!make_adjoint_axis(blur.h, h_) || !make_adjoint_axis(blur.w, w_)) return kInvalidValue;
    TilePlan plan(problem_, PoolMap::kBlurAdjoint, sizeof(value_of<T>));
    const PoolPath path = choose_path(PoolMap::kMaxBlurBackward, problem_, launcher_.multiprocessors(), plan);
    if constexpr (!std::is_same_v<T, double>) {
      if (path == PoolPath::kStencil) return with_window();
    }
    return path == PoolPath::kTiled ? run_blur_tiled<Launcher, T, PoolMap::kBlurAdjoint>(launcher_, plan) : gather();
  }

 private:
  int gather() const {
    using Program = MaxBlurPoolGather<T>;
    const Images& v = problem_.v;
    const GatherArguments arguments{.x = problem_.blur.x,
                                    .y = problem_.blur.y,
                                    .v = v,
                                    .h = h_,
                                    .w = w_,
                                    .max_h = problem_.max_h,
                                    .max_w = problem_.max_w,
                                    .taps_h = problem_.blur.taps_h,
                                    .taps_w = problem_.blur.taps_w,
                                    .per_channel = problem_.blur.per_channel,
                                    .elements = v.planes() * v.height * v.width,
                                    .channels_first = channels_are_adjacent()};
    const int64_t blocks = (arguments.elements + Program::kThreads - 1) / Program::kThreads;
    return launcher_.template run<Program>(blocks, 0, arguments);
  }

  int with_window() const {
    switch (problem_.max_w.window) {
      case 1:
        return with_taps<1>();
      case 2:
        return with_taps<2>();
      default:
        return with_taps<3>();
    }
  }
  template <int Window>
  int with_taps() const {
    switch (w_.taps) {
      case 3:
        return march<3, Window>();
      case 4:
        return march<4, Window>();
      default:
        return march<5, Window>();
    }
  }

  // Whole vectors of a row or of channels where the images allow it, else single elements.
  template <int Taps, int Window>
  int march() const {
    constexpr int kColumns = 8, kLanes = Window == 1 ? 4 : 2;
    constexpr int kColumnsOfLanes = 8 / kLanes, kSingleColumns = Window == 1 ? 2 : 4;
    if (channels_are_adjacent()) {
      const bool vectors = is_multiple(problem_.v.channels, kLanes) && has_channel_vectors(problem_.v, kLanes) &&
                           has_channel_vectors(problem_.blur.y, kLanes) &&
                           (Window == 1 || has_channel_vectors(problem_.blur.x, kLanes));
      if (vectors) return start<MaxBlurPoolBackward<T, Taps, Window, kColumnsOfLanes, kLanes>>(kLanes, kColumnsOfLanes);
    } else if (has_row_vectors(problem_.v) && problem_.blur.y.column_stride == 1 &&
               (Window == 1 || has_row_vectors(problem_.blur.x))) {
      return start<MaxBlurPoolBackward<T, Taps, Window, kColumns, 1>>(1, kColumns);
    }
    return start<MaxBlurPoolBackward<T, 0, Window, kSingleColumns, 1>>(1, kSingleColumns);
  }

  template <class Program>
  int start(int lanes, int columns) const {
    const Images& v = problem_.v;
    const bool channels = channels_are_adjacent();
    const int64_t channel_groups = channels ? v.channels / lanes : 1, row = (v.width + columns - 1) / columns;
    const int64_t planes = channels ? v.batch : v.planes();
    const Strips strips = plan_strips(planes, static_cast<int>(v.height), static_cast<int>(row * channel_groups),
                                      share_of_device<Program>());
    const BackwardArguments arguments{
        .x = problem_.blur.x,
        .y = problem_.blur.y,
        .v = v,
        .blur = {h_, w_, shown_once(h_), shown_once(w_), static_cast<const float*>(problem_.blur.taps_h),
                 static_cast<const float*>(problem_.blur.taps_w)},
        .max_h = problem_.max_h,
        .max_w = problem_.max_w,
        .strips = strips,
        .channels_per_plane = channels,
        .channel_groups = static_cast<int>(channel_groups)};
    const int64_t blocks = (strips.threads() + Program::kThreads - 1) / Program::kThreads;
    return launcher_.template run<Program>(blocks, 0, arguments);
  }

  // In multiprocessors full of threads, for plan_strips: fewer of these are resident at a time, and they go round twice
  // as often, because a strip begins with rows that it does not store.
  template <class Program>
  int share_of_device() const {
    constexpr int kResident = 2048, kRounds = 2;
    return std::max(1, launcher_.multiprocessors() * kRounds * Program::kThreads * Program::kBlocksPerSm / kResident);
  }

  bool channels_are_adjacent() const {
    const Images& v = problem_.v;
    return v.channels > 1 && v.channel_stride == 1 && v.column_stride != 1;
  }
  // Every row starts at a vector, and no vector is cut at its end.
  static bool has_row_vectors(const Images& images) {
    constexpr int kVector = kVectorElements<T>;
    return images.column_stride == 1 && is_multiple(images.width, kVector) && is_multiple(images.row_stride, kVector) &&
           starts_at_vectors(images, kVector);
  }
  static bool has_channel_vectors(const Images& images, int lanes) {
    return images.channel_stride == 1 && is_multiple(images.column_stride, lanes) &&
           is_multiple(images.row_stride, lanes) && is_multiple(images.batch_stride, lanes) &&
           is_multiple(reinterpret_cast<intptr_t>(images.data), lanes * sizeof(T));
  }
  static bool starts_at_vectors(const Images& images, int vector) {
    return is_multiple(images.channel_stride, vector) && is_multiple(images.batch_stride, vector) &&
           is_multiple(reinterpret_cast<intptr_t>(images.data), vector * sizeof(T));
  }

  const Launcher& launcher_;
  const MaxBlurPool& problem_;
  AdjointAxis h_, w_;
};

template <class Launcher, class T>
int run_pool_backward(const Launcher& launcher, const MaxBlurPool& problem) {
  return BackwardRun<Launcher, T>(launcher, problem).run();
}

}  // namespace freqops::cuda
