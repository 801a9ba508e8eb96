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

namespace freqops::cuda {

template <class Io>
struct PaddedPlaneArguments {
  const Io* x;
  Io* y;
  const Complex<float>* table;  // [channels, grid, grid] in position order
  PlaneBatch batch;
  int slices;        // blocks of a channel
  int slice_groups;  // groups of kPairs pairs that each takes
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
    const unsigned channel = index / static_cast<unsigned>(arguments.slices);
    const int64_t slice = index - channel * static_cast<unsigned>(arguments.slices);
    PaddedPlaneFilter filter(shared, arguments, channel);
    phases.run([&](int thread) { filter.load_tables(thread); });
    const int64_t step = int64_t{arguments.slice_groups} * Plan::kPairs, first = slice * step;
    const int64_t pairs = arguments.batch.image_pairs(), end = first + step < pairs ? first + step : pairs;
    for (int64_t pair = first; pair < end; pair += Plan::kPairs) filter.run_group(phases, pair, end);
  }

 private:
  using Axis = typename Plan::Axis;
  using Value = Complex<float>;
  static constexpr int kSize = Plan::kSize, kGrid = Plan::kGrid, kPitch = Plan::kPitch, kLive = Plan::kLive;
  static constexpr int kRadix = Axis::kLastRadix;  // of the phase with the response

  FREQOPS_HOST_DEVICE PaddedPlaneFilter(PaddedShared<Plan>& shared, const Arguments& arguments, unsigned channel)
      : shared_(shared), arguments_(arguments), channel_(channel) {}

  template <class Phases>
  FREQOPS_HOST_DEVICE void run_group(const Phases& phases, int64_t first, int64_t end) {
    // A loop rather than three calls: the code of a pass exists once.
    int pass = 0;
    do {
      if (!filter(phases, first, end, static_cast<Pass>(pass)) && pass == 0) break;
    } while (++pass < 3);
  }

  // True if a pair has to be redone apart.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool filter(const Phases& phases, int64_t first, int64_t end, Pass pass) {
    phases.run([&](int thread) { choose_pairs(thread, first, end, pass); });
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
      phases.run([&](int thread) { columns_and_response(thread); });
      phases.run([&](int thread) { whole_rows<1>(thread); });
      return phases.run_any([&](int thread) { return store_pixels(thread, pass); });
    }
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
  FREQOPS_HOST_DEVICE void choose_pairs(int thread, int64_t first, int64_t end, Pass pass) {
    const PlaneBatch& batch = arguments_.batch;
    for_each_task<Plan::kPairs>(thread, [&](int p) {
      const int64_t index = first + p < end ? channel_ * batch.image_pairs() + first + p : batch.pairs();
      choose_pair(shared_.pair[p], batch, {Plan::kPixels, 0}, index, pass);
    });
  }

  FREQOPS_HOST_DEVICE Value load_pixel(const PlanePair& pair, int pixel) const {
    return {to_float(arguments_.x[pair.first + pixel]), to_float(arguments_.x[pair.second + pixel])};
  }
  FREQOPS_HOST_DEVICE void store_pixel(const PlanePair& pair, int pixel, Value value) {
    from_float(value.re, arguments_.y[pair.first + pixel]);
    if (pair.second != pair.first) from_float(value.im, arguments_.y[pair.second + pixel]);
  }
  // Notes for a later pass whether the pair that has this pixel 0 must be redone.
  static FREQOPS_HOST_DEVICE bool note_redo(PlanePair& pair, Value pixel0, Pass pass) {
    if (pass != Pass::kTogether || pair.first == pair.second) return false;
    const bool redo = !(is_finite(pixel0.re) && is_finite(pixel0.im));
    if (redo) pair.redo = true;
    return redo;
  }

  // --- two stages: the first is done on the way from memory and to it -------------------------------------------------

  // Calls f(pair, first pixel, its place in shared memory, twiddle) for the butterflies of the first stage of the image's
  // rows. Those of one thread have the same offset in their rows, so their twiddles are read once.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_first_butterfly(int thread, F&& f) {
    const int offset = thread % Axis::kSpan;
    Value roots[Axis::kRadix0];
    static_for<Axis::kRadix0>([&](auto j) { roots[j] = shared_.roots[j * offset]; });
    const auto twiddle = [&](auto j) { return roots[j]; };
    for_each_task<Plan::kPairs * kSize * Axis::kSpan>(thread, [&](int task) {
      const int index = row_of_group<Axis, Plan::kPairs * kSize>(task / Axis::kSpan);
      const int p = index / kSize, row = index % kSize;
      PlanePair& pair = shared_.pair[p];
      if (pair.active) f(pair, row * kSize + offset, element(p, row, offset), twiddle);
    });
  }
  FREQOPS_HOST_DEVICE void load_rows(int thread) {
    for_each_first_butterfly(thread, [&](PlanePair& pair, int pixel, Value* base, const auto& twiddle) {
      first_stage<Axis>([&](auto j) { return j < kLive ? load_pixel(pair, pixel + j * Axis::kSpan) : Value{0, 0}; },
                        twiddle, [&](auto j, Value v) { base[j * Axis::kSpan] = v; });
    });
  }
  FREQOPS_HOST_DEVICE bool store_rows(int thread, Pass pass) {
    bool redo = false;
    for_each_first_butterfly(thread, [&](PlanePair& pair, int pixel, const Value* base, const auto& twiddle) {
      first_stage_inverse<Axis>([&](auto j) { return base[j * Axis::kSpan]; }, twiddle,
                                [&](auto j, Value v) {
                                  if (j < kLive) store_pixel(pair, pixel + j * Axis::kSpan, v);
                                  if (j == 0 && pixel == 0) redo |= note_redo(pair, v, pass);
                                });
    });
    return redo;
  }
  template <int Sign>
  FREQOPS_HOST_DEVICE void rows_last_stage(int thread) {
    constexpr int kRows = Plan::kPairs * kSize;
    for_each_task<kRows * Axis::kLastBlocks>(thread, [&](int task) {
      int pair, row;
      split<kSize>(task % kRows, pair, row);
      last_stage_in_place<Axis, Sign, 1>(element(pair, row, task / kRows * kRadix));
    });
  }
  template <int Sign>
  FREQOPS_HOST_DEVICE void columns_first_stage(int thread) {
    constexpr int kSpan = Axis::kSpan;
    for_each_task<Plan::kPairs * kGrid * kSpan>(thread, [&](int task) {
      const int column = task % kGrid, offset = task / kGrid % kSpan, pair = task / (kGrid * kSpan);
      Value* base = element(pair, offset, column);
      const auto twiddle = [&](auto j) { return shared_.roots[j * offset]; };
      if constexpr (Sign < 0) {
        first_stage<Axis>([&](auto j) { return j < kLive ? base[j * kSpan * kPitch] : Value{0, 0}; }, twiddle,
                          [&](auto j, Value v) { base[j * kSpan * kPitch] = v; });
      } else {
        first_stage_inverse<Axis>([&](auto j) { return base[j * kSpan * kPitch]; }, twiddle,
                                  [&](auto j, Value v) {
                                    if (j < kLive) base[j * kSpan * kPitch] = v;
                                  });
      }
    });
  }

  // The last forward stage, the response, and the first inverse stage, in registers.
  FREQOPS_HOST_DEVICE void columns_and_response(int thread) {
    // Where this is all there is, the rows below the image are zero, and not needed afterwards.
    constexpr int kNeeded = Axis::kTwoStages ? kRadix : kSize;
    for_each_task<Plan::kPairs * kGrid * Axis::kLastBlocks>(thread, [&](int task) {
      int pair, line;
      split<kGrid * Axis::kLastBlocks>(task, pair, line);
      const int column = line % kGrid, row = line / kGrid * kRadix;
      Value* base = element(pair, row, column);
      const Value* gain = shared_.gain + row * kGrid + column;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = j < kNeeded ? base[j * kPitch] : Value{0, 0}; });
      Dft<kRadix, -1>::run(v);
      static_for<kRadix>([&](auto j) { v[j] = multiply(v[j], gain[j * kGrid]); });
      Dft<kRadix, 1>::run(v);
      static_for<kNeeded>([&](auto j) { base[j * kPitch] = v[j]; });
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

  // Calls f(pair's number, pixel, its place in a plane). Groups of threads have pairs of their own.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_pixel(int thread, F&& f) {
    constexpr int kGroups = kThreads / Plan::kPixels;
    const int group = thread / Plan::kPixels, pixel = thread % Plan::kPixels;
    if (group >= kGroups) return;
    const int place = pixel / kSize * kPitch + pixel % kSize;
    for (int p = group; p < Plan::kPairs; p += kGroups) f(p, pixel, place);
  }
  FREQOPS_HOST_DEVICE void load_pixels(int thread) {
    for_each_pixel(thread, [&](int p, int pixel, int place) {
      // An inactive pair stands for the first plane, which there always is.
      shared_.plane[p * Plan::kPlanePitch + place] = load_pixel(shared_.pair[p], pixel);
    });
  }
  FREQOPS_HOST_DEVICE bool store_pixels(int thread, Pass pass) {
    bool redo = false;
    for_each_pixel(thread, [&](int p, int pixel, int place) {
      const PlanePair pair = shared_.pair[p];
      if (!pair.active) return;
      const Value value = shared_.plane[p * Plan::kPlanePitch + place];
      store_pixel(pair, pixel, value);
      if (pixel == 0) redo |= note_redo(shared_.pair[p], value, pass);
    });
    return redo;
  }

  PaddedShared<Plan>& shared_;
  const Arguments& arguments_;
  const unsigned channel_;
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
    // choose_pair divides in 32 bits.
    if (batch.pairs() > INT_MAX) return;
    const int64_t groups = (batch.image_pairs() + Plan::kPairs - 1) / Plan::kPairs;
    const int64_t resident = std::max<int64_t>(1, int64_t{launcher.multiprocessors()} * Program::kBlocksPerSm);
    const int slices = padded_slices(problem.channels, groups, resident);
    const int64_t blocks = problem.channels * slices;
    if (blocks > INT_MAX) return;
    error = launcher.template run<Program>(blocks, Program::kSharedBytes,
                                           {static_cast<const Io*>(problem.x), static_cast<Io*>(problem.y), table,
                                            batch, slices, static_cast<int>((groups + slices - 1) / slices)});
  });
  return error;
}

}  // namespace freqops::cuda
