// Maximum at stride 1, blur and stride 2 in one pass. A thread has a few neighbouring outputs of a row
// and marches down a strip of rows, two rows of maxima per turn. Each is blurred along the row once and
// added to the output rows that see it, so that a strip reads an input row once. Both rows are loaded
// before either is used.
//
// Padding costs the rows inside nothing: where the two rows of a turn do not follow those of the turn
// before, inside the map, they are put together one by one.
#pragma once

#include "blur_pool_channel_columns.cuh"
#include "blur_pool_path.h"
#include "blur_pool_plane_columns.cuh"
#include "blur_pool_stencil.h"

namespace freqops::cuda {

template <class Columns>
class StencilMarch {
 public:
  FREQOPS_HOST_DEVICE StencilMarch(const StencilArguments& arguments, const StripPlace& place)
      : arguments_(arguments), place_(place), columns_(arguments, place) {
    load_taps(arguments.taps_h, taps_);
  }

  FREQOPS_HOST_DEVICE void run() {
    const int turns = place_.end - place_.first + kTurns - 1;
    // With odd taps the first row of the first turn belongs to no output.
    const int first = 2 * place_.first - arguments_.h.before - kTaps % 2;
    float sums[kTurns][kSums] = {};  // of output rows, the oldest first
    FREQOPS_ONE_TURN
    for (int turn = 0; turn < turns; ++turn) {
      const int position = first + 2 * turn;
      const bool follows = kWindow == 1 ? position >= 0 : position >= 1 && turn > 0;
      float blurred[2][kSums];  // along the rows
      if (follows && position + 1 < arguments_.h.size) {
        next(position, blurred);
      } else {
        gather(position, blurred);
      }
      add<0>(blurred[0], sums);
      add<1>(blurred[1], sums);
      if (turn >= kTurns - 1) columns_.store(place_.first + turn - (kTurns - 1), sums[0]);
      static_for<kTurns - 1>([&](auto i) { static_for<kSums>([&](auto j) { sums[i][j] = sums[i + 1][j]; }); });
    }
  }

 private:
  static constexpr int kTaps = Columns::kTaps, kWindow = Columns::kWindow, kSums = Columns::kSums;
  static constexpr int kTurns = (kTaps + 1) / 2;  // in which an output row is complete
  using Maxima = typename Columns::Maxima;

  // Two positions inside the map, after the one before them.
  FREQOPS_HOST_DEVICE void next(int position, float (&blurred)[2][kSums]) {
    const int r = position - arguments_.max_padding_h + kWindow - 1, last = arguments_.height - 1;
    const int both[2] = {r < last ? r : last, r + 1 < last ? r + 1 : last};
    Maxima row[2];
    if constexpr (Columns::kBothRows) columns_.rows(both, row);
    static_for<2>([&](auto i) {
      if constexpr (!Columns::kBothRows) columns_.row(both[i], row[i]);
      below(row[i], blurred[i]);
    });
  }
  // The row that completes a position, and what it leaves for the next ones.
  FREQOPS_HOST_DEVICE void below(const Maxima& row, float (&blurred)[kSums]) {
    if constexpr (kWindow == 1) {
      columns_.blur(row, blurred);
    } else {
      columns_.blur(maximum(above_[0], row), blurred);
      if constexpr (kWindow == 3) above_[0] = maximum(above_[1], row);
      above_[kWindow - 2] = row;
    }
  }
  // Any two positions.
  FREQOPS_HOST_DEVICE void gather(int position, float (&blurred)[2][kSums]) {
    static_for<kSums>([&](auto j) { blurred[1][j] = 0; });
    FREQOPS_ONE_TURN
    for (int i = 0; i < 2; ++i) {
      static_for<kSums>([&](auto j) {
        blurred[0][j] = blurred[1][j];
        blurred[1][j] = 0;
      });
      const int source = arguments_.h.source(position + i);
      if (source != kZero) at(source, blurred[1]);
    }
  }
  FREQOPS_HOST_DEVICE void at(int source, float (&blurred)[kSums]) {
    FREQOPS_ONE_TURN
    for (int i = 0; i < kWindow; ++i) {
      Maxima row;
      columns_.row(clamped(source - arguments_.max_padding_h + i, arguments_.height), row);
      // What is above the first ones does not matter: the last one's result is kept.
      below(row, blurred);
    }
  }

  // The rows of a turn have the taps 2 k and 2 k + 1, less one for odd taps, of the output row that the
  // turn is number k of.
  template <int Side>
  FREQOPS_HOST_DEVICE void add(const float (&blurred)[kSums], float (&sums)[kTurns][kSums]) const {
    static_for<kTurns>([&](auto i) {
      constexpr int kTap = 2 * (kTurns - 1 - decltype(i)::value) + Side - kTaps % 2;
      static_for<kSums>([&](auto j) {
        if constexpr (kTap == 0) sums[i][j] = taps_[0] * blurred[j];
        if constexpr (kTap > 0) sums[i][j] += taps_[kTap] * blurred[j];
      });
    });
  }

  const StencilArguments& arguments_;
  const StripPlace& place_;
  Columns columns_;
  // Of the rows above in the window: their maxima, then those of the last one.
  Maxima above_[kWindow > 1 ? kWindow - 1 : 1] = {};
  float taps_[kTaps];
};

template <class Columns>
struct BlurStencil {
  // Small blocks: registers, which bound how many fit, are granted in finer steps.
  static constexpr int kThreads = 128, kBlocksPerSm = Columns::kBlocksPerSm, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = StencilArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const StripPlace place(arguments.strips, index, thread, kThreads);
      if (place.exists) StencilMarch<Columns>(arguments, place).run();
    });
  }
};

// --- host -----------------------------------------------------------------------------------------------

// The largest power of two, up to a vector, that divides an address and a distance in bytes.
inline int common_alignment(const void* data, int64_t bytes) {
  const uint64_t bits = reinterpret_cast<uintptr_t>(data) | static_cast<uint64_t>(bytes) | kVectorBytes;
  return static_cast<int>(bits & (~bits + 1));
}

template <class Launcher, class T, int Taps, int Window>
class StencilLaunch {
 public:
  StencilLaunch(const Launcher& launcher, const MaxBlurPool& problem)
      : launcher_(launcher), problem_(problem), x_(problem.blur.x), y_(problem.blur.y), w_(problem.blur.w) {}

  int run() const { return is_contiguous(x_) && is_contiguous(y_) ? run_planes() : run_channels(); }

 private:
  // Outputs of a thread: of two vectors of inputs where rows are aligned.
  static constexpr int kVector = kVectorElements<T>, kOutputs = 4;
  using AlignedColumns = PlaneColumns<T, Taps, Window, kVector, true>;
  using AnyColumns = PlaneColumns<T, Taps, Window, kOutputs, false>;

  int run_planes() const {
    return rows_are_aligned() ? start<AlignedColumns>(plane_arguments(kVector))
                              : start<AnyColumns>(plane_arguments(kOutputs));
  }
  // The usual padding gives half as many outputs as there are columns, so that the thread that moves left
  // stays on a vector.
  bool rows_are_aligned() const {
    // Of the maxima that the last output sees, so many stand behind the last one.
    const int64_t after = 2 * (w_.outputs - 1) + Taps - w_.before - w_.size;
    const bool usual = problem_.max_w.padding == AlignedColumns::kMaxPadding &&
                       w_.before == AlignedColumns::kUsualBefore && after == AlignedColumns::kUsualAfter;
    return usual && w_.outputs >= kVector && x_.width % kVector == 0 && common_alignment(x_.data, 0) == kVectorBytes;
  }
  StencilArguments plane_arguments(int outputs) const {
    StencilArguments arguments = this->arguments(x_.planes(), (w_.outputs + outputs - 1) / outputs);
    arguments.x_plane = x_.height * x_.width;
    arguments.y_plane = y_.height * y_.width;
    arguments.x_row = static_cast<int>(x_.width);
    arguments.y_row = static_cast<int>(y_.width);
    arguments.store_bytes = common_alignment(y_.data, y_.width * static_cast<int64_t>(sizeof(T)));
    return arguments;
  }

  int run_channels() const {
    constexpr int kChannels = kChannelVector<T, Taps, Window>, kBytes = kChannels * static_cast<int>(sizeof(T));
    const int64_t bytes = x_.channels * static_cast<int64_t>(sizeof(T));
    const bool vectors = common_alignment(x_.data, bytes) >= kBytes && common_alignment(y_.data, bytes) >= kBytes;
    return vectors ? start<ChannelColumns<T, Taps, Window, kChannels>>(channel_arguments(kChannels))
                   : start<ChannelColumns<T, Taps, Window, 1>>(channel_arguments(1));
  }
  StencilArguments channel_arguments(int channels) const {
    StencilArguments arguments = this->arguments(x_.batch, w_.outputs * (x_.channels / channels));
    arguments.x_plane = x_.height * x_.width * x_.channels;
    arguments.y_plane = y_.height * y_.width * y_.channels;
    arguments.x_row = static_cast<int>(x_.width * x_.channels);
    arguments.y_row = static_cast<int>(y_.width * y_.channels);
    return arguments;
  }

  StencilArguments arguments(int64_t planes, int64_t groups) const {
    const BlurPool& blur = problem_.blur;
    return {.x = x_.data,
            .y = y_.data,
            .taps_h = static_cast<const float*>(blur.taps_h),
            .taps_w = static_cast<const float*>(blur.taps_w),
            .h = StencilAxis(blur.h),
            .w = StencilAxis(w_),
            .strips = plan_strips(planes, static_cast<int>(blur.h.outputs), static_cast<int>(groups),
                                  launcher_.multiprocessors()),
            .height = static_cast<int>(x_.height),
            .width = static_cast<int>(x_.width),
            .channels = static_cast<int>(x_.channels),
            .max_padding_h = problem_.max_h.padding,
            .max_padding_w = problem_.max_w.padding,
            .x_plane = 0,
            .y_plane = 0,
            .x_row = 0,
            .y_row = 0,
            .store_bytes = 0};
  }
  template <class Columns>
  int start(const StencilArguments& arguments) const {
    using Program = BlurStencil<Columns>;
    return launcher_.template run<Program>(strip_blocks(arguments.strips, Program::kThreads), 0, arguments);
  }

  const Launcher& launcher_;
  const MaxBlurPool& problem_;
  const Images &x_, &y_;
  const BlurAxis& w_;
};

template <int Window, class Launcher, class T>
int run_with_window(const Launcher& launcher, const MaxBlurPool& problem) {
  switch (problem.blur.h.taps) {
    case 3:
      return StencilLaunch<Launcher, T, 3, Window>(launcher, problem).run();
    case 4:
      return StencilLaunch<Launcher, T, 4, Window>(launcher, problem).run();
    default:
      return StencilLaunch<Launcher, T, 5, Window>(launcher, problem).run();
  }
}

template <class Launcher, class T>
int run_blur_stencil(const Launcher& launcher, const MaxBlurPool& problem) {
  switch (problem.max_h.window) {
    case 1:
      return run_with_window<1, Launcher, T>(launcher, problem);
    case 2:
      return run_with_window<2, Launcher, T>(launcher, problem);
    default:
      return run_with_window<3, Launcher, T>(launcher, problem);
  }
}

}  // namespace freqops::cuda
