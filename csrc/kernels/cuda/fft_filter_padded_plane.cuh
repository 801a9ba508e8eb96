// A convolution with a large kernel in one read of x and one write of y. Two planes of a channel are one complex plane
// a + ib in shared memory, as in the plane form; the channel's response lies beside it while a block goes through its
// slice of the images. Zeros are neither stored nor transformed: the rows below the image are skipped on the way to the
// spectrum's columns and on the way back, and first butterflies take and give only what belongs to the image.
//
// A pair with a NaN, or with a value that overflowed, is redone apart, as in fft_filter_plane.cuh.
#pragma once

#include <climits>
#include <cstdint>

#include "element.h"
#include "fft_filter_padded_plane.h"
#include "phases.h"
#include "plane_pair.h"

namespace freqops::cuda {

template <class Io>
struct PaddedPlaneArguments {
  const Io* x;
  Io* y;
  const Complex<float>* table;  // [channels, grid, grid] in position order
  PlaneBatch batch;             // fewer than 2^31 planes
  int slices;                   // blocks of a channel
  int slice_pairs;              // that each takes, a multiple of kPairs
};

template <class Plan, class Io>
class PaddedPlaneFilter {
 public:
  static constexpr int kThreads = Plan::kThreads, kBlocksPerSm = Plan::kBlocksPerSm, kClusterBlocks = 1;
  static constexpr int kSharedBytes = sizeof(PaddedShared<Plan>);
  using Arguments = PaddedPlaneArguments<Io>;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    auto& shared = *reinterpret_cast<PaddedShared<Plan>*>(phases.own_shared());
    const int channel = static_cast<int>(index) / arguments.slices;
    const int slice = static_cast<int>(index) - channel * arguments.slices;
    PaddedPlaneFilter filter(shared, arguments, channel);
    phases.run([&](int thread) { filter.load_tables(thread); });
    const int first = slice * arguments.slice_pairs, end = first + arguments.slice_pairs;
    const auto pairs = static_cast<int>(arguments.batch.image_pairs());
    for (int pair = first; pair < end && pair < pairs; pair += Plan::kPairs) filter.run_group(phases, pair);
  }

 private:
  using Axis = typename Plan::Axis;
  using Value = Complex<float>;
  static constexpr int kSize = Plan::kSize, kGrid = Plan::kGrid, kPitch = Plan::kPitch, kLive = Plan::kLive;
  static constexpr int kRadix = Axis::kLastRadix;  // of the phase with the response

  FREQOPS_HOST_DEVICE PaddedPlaneFilter(PaddedShared<Plan>& shared, const Arguments& arguments, int channel)
      : shared_(shared), arguments_(arguments), channel_(channel) {}

  template <class Phases>
  FREQOPS_HOST_DEVICE void run_group(const Phases& phases, int first_pair) {
    // A loop rather than three calls: the code of a pass exists once.
    int pass = 0;
    do {
      if (!filter(phases, first_pair, static_cast<Pass>(pass)) && pass == 0) break;
    } while (++pass < 3);
  }

  // True if a pair has to be redone apart.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool filter(const Phases& phases, int first_pair, Pass pass) {
    phases.run([&](int thread) { choose_pairs(thread, first_pair, pass); });
    if constexpr (Axis::kTwoStages) {
      phases.run([&](int thread) { load_rows(thread); });
      phases.run([&](int thread) { rows_last_stage<-1>(thread); });
      phases.run([&](int thread) { columns_first_stage<-1>(thread); });
      phases.run([&](int thread) { columns_and_response(thread); });
      phases.run([&](int thread) { columns_first_stage<1>(thread); });
      phases.run([&](int thread) { rows_last_stage<1>(thread); });
      return phases.run_any([&](int thread) { return store_rows(thread, pass); });
    } else {
      phases.run([&](int thread) { load_pixels(thread); });
      phases.run([&](int thread) { whole_rows<-1>(thread); });
      phases.run([&](int thread) { whole_columns_and_response(thread); });
      phases.run([&](int thread) { whole_rows<1>(thread); });
      return phases.run_any([&](int thread) { return store_pixels(thread, pass); });
    }
  }

  // A butterfly of a column there and back, with the response between them. Of its elements the first Needed are not zero,
  // and wanted afterwards.
  template <int Needed>
  static FREQOPS_HOST_DEVICE void respond(Value* base, const Value* gain) {
    Value v[kRadix];
    static_for<kRadix>([&](auto j) { v[j] = j < Needed ? base[j * kPitch] : Value{0, 0}; });
    Dft<kRadix, -1>::run(v);
    static_for<kRadix>([&](auto j) { v[j] = multiply(v[j], gain[j * kGrid]); });
    Dft<kRadix, 1>::run(v);
    static_for<Needed>([&](auto j) { base[j * kPitch] = v[j]; });
  }

  // Calls f(task) for the tasks of one thread.
  template <int Tasks, class F>
  static FREQOPS_HOST_DEVICE void for_each_task(int thread, F&& f) {
    for (int task = thread; task < Tasks; task += kThreads) f(task);
  }
  // Splits a task into a pair and one of `Lines` rows or columns.
  template <int Lines>
  static FREQOPS_HOST_DEVICE void split(int task, int& pair, int& line) {
    pair = Plan::kInterleaved ? task % Plan::kPairs : task / Lines;
    line = Plan::kInterleaved ? task / Plan::kPairs : task % Lines;
  }
  FREQOPS_HOST_DEVICE Value* element(int pair, int row, int column) {
    return shared_.plane + pair * Plan::kPlanePitch + row * kPitch + column;
  }

  FREQOPS_HOST_DEVICE void load_tables(int thread) {
    for_each_task<Plan::kRoots>(thread, [&](int i) { shared_.roots[i] = kRootTable<kGrid>.root[i]; });
    const Value* table = arguments_.table + int64_t{channel_} * Plan::kGridPixels;
    for_each_task<Plan::kGridPixels>(thread, [&](int i) { shared_.gain[i] = table[i]; });
  }

  FREQOPS_HOST_DEVICE void choose_pairs(int thread, int first_pair, Pass pass) {
    const PlaneBatch& batch = arguments_.batch;
    for_each_task<Plan::kPairs>(thread, [&](int p) {
      const int64_t pair = first_pair + p, pairs = batch.image_pairs();
      choose_pair(shared_.pair[p], batch, {Plan::kPixels, 0}, pair < pairs ? channel_ * pairs + pair : batch.pairs(),
                  pass);
    });
  }
  // Notes for a later pass whether the pair that has this pixel 0 must be redone.
  static FREQOPS_HOST_DEVICE bool note_redo(PlanePair& pair, Value pixel0, Pass pass) {
    if (pass != Pass::kTogether || pair.first == pair.second) return false;
    const bool redo = !(is_finite(pixel0.re) && is_finite(pixel0.im));
    if (redo) pair.redo = true;
    return redo;
  }

  // --- two stages: the first is done on the way from memory and to it ------------------------------------------------

  // Calls f(line, i) for all Lines and i < Count. A thread keeps its line, so that where it lies is computed once.
  template <int Lines, int Count, class F>
  static FREQOPS_HOST_DEVICE void for_each_of_lines(int thread, F&& f) {
    constexpr int kTogether = kThreads / Lines;
    static_assert(kTogether > 0, "a thread for every line");
    const int line = thread % Lines, first = thread / Lines;
    if (first >= kTogether) return;
    for (int i = first; i < Count; i += kTogether) f(line, i);
  }

  // Calls f(first pixel, its place in shared memory, twiddle) for the butterflies of the first stage of the image's rows.
  // Those of one thread have the same offset in their rows, so their twiddles are read once.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_first_butterfly(int thread, F&& f) {
    Value roots[Axis::kRadix0];
    static_for<Axis::kRadix0>([&](auto j) { roots[j] = shared_.roots[j * (thread % Axis::kSpan)]; });
    const auto twiddle = [&](auto j) { return roots[j]; };
    for_each_of_lines<Axis::kSpan, kSize>(
        thread, [&](int offset, int row) { f(row * kSize + offset, element(0, row, offset), twiddle); });
  }
  FREQOPS_HOST_DEVICE void load_rows(int thread) {
    const PlanePair pair = shared_.pair[0];
    const Io *first = arguments_.x + pair.first, *second = arguments_.x + pair.second;
    for_each_first_butterfly(thread, [&](int pixel, Value* base, const auto& twiddle) {
      const Io *a = first + pixel, *b = second + pixel;
      first_stage<Axis>(
          [&](auto j) {
            return j < kLive ? Value{to_float(a[j * Axis::kSpan]), to_float(b[j * Axis::kSpan])} : Value{0, 0};
          },
          twiddle, [&](auto j, Value v) { base[j * Axis::kSpan] = v; });
    });
  }
  FREQOPS_HOST_DEVICE bool store_rows(int thread, Pass pass) {
    const PlanePair pair = shared_.pair[0];
    const bool two = pair.second != pair.first;
    Io *first = arguments_.y + pair.first, *second = arguments_.y + pair.second;
    bool redo = false;
    for_each_first_butterfly(thread, [&](int pixel, const Value* base, const auto& twiddle) {
      Io *a = first + pixel, *b = second + pixel;
      Value pixel0;
      first_stage_inverse<Axis>([&](auto j) { return base[j * Axis::kSpan]; }, twiddle,
                                [&](auto j, Value v) {
                                  if (j == 0) pixel0 = v;
                                  if (j >= kLive) return;
                                  from_float(v.re, a[j * Axis::kSpan]);
                                  if (two) from_float(v.im, b[j * Axis::kSpan]);
                                });
      if (pixel == 0) redo = note_redo(shared_.pair[0], pixel0, pass);
    });
    return redo;
  }
  template <int Sign>
  FREQOPS_HOST_DEVICE void rows_last_stage(int thread) {
    for_each_of_lines<kSize, Axis::kLastBlocks>(
        thread, [&](int row, int block) { last_stage_in_place<Axis, Sign, 1>(element(0, row, block * kRadix)); });
  }
  template <int Sign>
  FREQOPS_HOST_DEVICE void columns_first_stage(int thread) {
    constexpr int kStep = Axis::kSpan * kPitch;
    for_each_of_lines<kGrid, Axis::kSpan>(thread, [&](int column, int offset) {
      Value* base = element(0, offset, column);
      const auto twiddle = [&](auto j) { return shared_.roots[j * offset]; };
      if constexpr (Sign < 0) {
        first_stage<Axis>([&](auto j) { return j < kLive ? base[j * kStep] : Value{0, 0}; }, twiddle,
                          [&](auto j, Value v) { base[j * kStep] = v; });
      } else {
        first_stage_inverse<Axis>([&](auto j) { return base[j * kStep]; }, twiddle,
                                  [&](auto j, Value v) {
                                    if (j < kLive) base[j * kStep] = v;
                                  });
      }
    });
  }
  // The last forward stage, the response, and the first inverse stage, in registers.
  FREQOPS_HOST_DEVICE void columns_and_response(int thread) {
    for_each_of_lines<kGrid, Axis::kLastBlocks>(thread, [&](int column, int block) {
      const int row = block * kRadix;
      respond<kRadix>(element(0, row, column), shared_.gain + row * kGrid + column);
    });
  }

  // --- one stage ------------------------------------------------------------------------------------------------------

  template <int Sign>
  FREQOPS_HOST_DEVICE void whole_rows(int thread) {
    for_each_task<Plan::kPairs * kSize>(thread, [&](int task) {
      int pair, row;
      split<kSize>(task, pair, row);
      Value* base = element(pair, row, 0);
      Value v[kGrid];
      static_for<kGrid>([&](auto j) { v[j] = Sign > 0 || j < kSize ? base[j] : Value{0, 0}; });
      Dft<kGrid, Sign>::run(v);
      static_for < Sign<0 ? kGrid : kSize>([&](auto j) { base[j] = v[j]; });
    });
  }

  FREQOPS_HOST_DEVICE void whole_columns_and_response(int thread) {
    for_each_task<Plan::kPairs * kGrid>(thread, [&](int task) {
      int pair, column;
      split<kGrid>(task, pair, column);
      respond<kSize>(element(pair, 0, column), shared_.gain + column);
    });
  }

  // A thread has the same pixel of every pair that it meets; groups of threads have pairs of their own.
  struct PixelOfThread {
    static constexpr int kTeams = kThreads / Plan::kPixels;
    int team, pixel, place;
    explicit FREQOPS_HOST_DEVICE PixelOfThread(int thread)
        : team(thread / Plan::kPixels),
          pixel(thread - team * Plan::kPixels),
          place(pixel / kSize * kPitch + pixel % kSize + team * Plan::kPlanePitch) {}
    FREQOPS_HOST_DEVICE bool inside() const { return team < kTeams; }
    // In shared memory, of pair team + turn * kTeams.
    FREQOPS_HOST_DEVICE int place_of(int turn) const { return place + turn * kTeams * Plan::kPlanePitch; }
  };

  FREQOPS_HOST_DEVICE void load_pixels(int thread) {
    constexpr int kTeams = PixelOfThread::kTeams, kTurns = Plan::kPairs / kTeams, kTogether = 4;
    static_assert(kTurns % kTogether == 0);
    const PixelOfThread own(thread);
    if (!own.inside()) return;
    const Io* x = arguments_.x + own.pixel;
    FREQOPS_ONE_TURN
    for (int start = 0; start < kTurns; start += kTogether) {
      // All loads of some pairs, then what they brought: that many are on their way at the same time.
      Value value[kTogether];
      static_for<kTogether>([&](auto i) {
        // An inactive pair stands for the first plane, which there always is.
        const PlanePair& pair = shared_.pair[own.team + (start + i) * kTeams];
        value[i] = {to_float(x[pair.first]), to_float(x[pair.second])};
      });
      static_for<kTogether>([&](auto i) { shared_.plane[own.place_of(start + i)] = value[i]; });
    }
  }
  FREQOPS_HOST_DEVICE bool store_pixels(int thread, Pass pass) {
    constexpr int kTeams = PixelOfThread::kTeams;
    const PixelOfThread own(thread);
    if (!own.inside()) return false;
    bool redo = false;
    Io* y = arguments_.y + own.pixel;
    for (int turn = 0; turn < Plan::kPairs / kTeams; ++turn) {
      PlanePair& pair = shared_.pair[own.team + turn * kTeams];
      if (!pair.active) continue;
      const int64_t first = pair.first, second = pair.second;
      const Value value = shared_.plane[own.place_of(turn)];
      from_float(value.re, y[first]);
      if (second != first) from_float(value.im, y[second]);
      if (own.pixel == 0) redo |= note_redo(pair, value, pass);
    }
    return redo;
  }

  PaddedShared<Plan>& shared_;
  const Arguments& arguments_;
  const int channel_;
};

// Into how many slices the images of a channel are cut: a block of `groups` and its tables takes about a group more than
// they do, and as many blocks as are resident take that long together.
inline int padded_slices(int64_t channels, int64_t groups, int64_t resident) {
  int64_t best = 1, shortest = LLONG_MAX;
  for (int64_t slices = 1; slices <= groups && slices <= 64; ++slices) {
    const int64_t waves = (channels * slices + resident - 1) / resident;
    const int64_t time = waves * ((groups + slices - 1) / slices + 1);
    if (time < shortest) {
      shortest = time;
      best = slices;
    }
  }
  return static_cast<int>(best);
}

template <class Launcher>
bool padded_plane_takes(const Launcher& launcher, int size, int grid) {
  bool takes = false;
  PaddedPlans::with(size, grid, [&](auto plan) {
    using Program = PaddedPlaneFilter<decltype(plan), float>;
    takes = launcher.template can_run<Program>(Program::kSharedBytes);
  });
  return takes;
}

template <class Launcher, class Io>
int run_padded_plane(const Launcher& launcher, const FilterPadded& problem, const Complex<float>* table) {
  int error = kInvalid;
  const PlaneBatch batch{problem.images, static_cast<uint32_t>(problem.channels)};
  PaddedPlans::with(problem.height, problem.grid_height, [&](auto plan) {
    using Plan = decltype(plan);
    using Program = PaddedPlaneFilter<Plan, Io>;
    const int64_t groups = (batch.image_pairs() + Plan::kPairs - 1) / Plan::kPairs;
    const int64_t resident = std::max<int64_t>(1, int64_t{launcher.multiprocessors()} * Program::kBlocksPerSm);
    const int slices = padded_slices(problem.channels, groups, resident);
    const int64_t slice_pairs = (groups + slices - 1) / slices * Plan::kPairs;
    const typename Program::Arguments arguments{
        static_cast<const Io*>(problem.x), static_cast<Io*>(problem.y), table, batch, slices,
        static_cast<int>(slice_pairs)};
    error = launcher.template run<Program>(problem.channels * slices, Program::kSharedBytes, arguments);
  });
  return error;
}

}  // namespace freqops::cuda
