// Two real planes a and b become one complex plane a + ib in shared memory. The filter is a real
// linear operator, so it acts on both at once and nothing has to be unpacked: a forward transform
// over W, over H, the response, and the way back, of which the last forward stage over H, the
// response and the first inverse stage happen in registers.
//
// A NaN or an infinity in one plane would reach the other one of its pair. It then shows in pixel 0
// of the result, which is a sum over all bins, and so does a value that overflowed on the way to
// the spectrum. Such a pair is redone by the same block, each plane as a pair with itself; clean
// pairs of the block keep what they have.
#pragma once

#include <cstdint>

#include "axis.h"
#include "element.h"
#include "phases.h"
#include "plane_plan.cuh"
#include "response_table.cuh"

namespace freqops::cuda {

// One block's work: pairs first_pair .. first_pair + kPairs. Gain is float or Complex<float>.
template <class Plan, class Io, class Gain>
class PlaneFilter {
 public:
  using Shared = PlaneShared<Plan>;

  FREQOPS_HOST_DEVICE PlaneFilter(Shared& shared, const Io* x, Io* y, const Gain* response, const PlaneBatch& batch,
                                  int64_t first_pair)
      : shared_(shared), x_(x), y_(y), response_(response), batch_(batch), first_pair_(first_pair) {}

  template <class Phases>
  FREQOPS_HOST_DEVICE void run(const Phases& phases) {
    if constexpr (Plan::kRoots > 0) phases.run([&](int thread) { load_roots(thread); });
    // A loop rather than three calls: the code of a pass exists once.
    int pass = 0;
    do {
      if (!filter(phases, static_cast<Pass>(pass)) && pass == 0) break;
    } while (++pass < 3);
  }

 private:
  using AxisH = typename Plan::AxisH;
  using AxisW = typename Plan::AxisW;
  using Value = Complex<float>;
  static constexpr int kHeight = Plan::kHeight, kWidth = Plan::kWidth, kRows = Plan::kRows;

  // True if a pair has to be redone apart.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool filter(const Phases& phases, Pass pass) {
    phases.run([&](int thread) {
      for (int p = thread; p < Plan::kPairs; p += Plan::kThreads) {
        choose_pair<Plan>(shared_.pair[p], batch_, first_pair_ + p, pass);
      }
    });
    phases.run([&](int thread) { load(thread); });
    phases.run([&](int thread) { rows_last_stage<-1>(thread); });
    if constexpr (AxisH::kTwoStages) phases.run([&](int thread) { columns_first_stage<-1>(thread); });
    phases.run([&](int thread) { columns_last_stage_and_response(thread); });
    if constexpr (AxisH::kTwoStages) phases.run([&](int thread) { columns_first_stage<1>(thread); });
    phases.run([&](int thread) { rows_last_stage<1>(thread); });
    return phases.run_any([&](int thread) { return store(thread, pass); });
  }

  // Calls f(task) for the tasks of one thread.
  template <int Tasks, class F>
  static FREQOPS_HOST_DEVICE void for_each_task(int thread, F&& f) {
    for (int task = thread; task < Tasks; task += Plan::kThreads) f(task);
  }

  FREQOPS_HOST_DEVICE void load_roots(int thread) {
    for_each_task<Plan::kRoots>(thread, [&](int i) {
      shared_.roots[i] = i < Plan::kRootsW ? kRootTable<kWidth>.root[i] : kRootTable<kHeight>.root[i - Plan::kRootsW];
    });
  }

  FREQOPS_HOST_DEVICE Value load_pixel(const PlanePair& pair, int pixel) const {
    return {to_float(x_[pair.first + pixel]), to_float(x_[pair.second + pixel])};
  }
  FREQOPS_HOST_DEVICE void store_pixel(const PlanePair& pair, int pixel, Value value) {
    from_float(value.re, y_[pair.first + pixel]);
    if (pair.second != pair.first) from_float(value.im, y_[pair.second + pixel]);
  }
  // Notes for a later pass whether the pair that has this pixel 0 must be redone.
  FREQOPS_HOST_DEVICE bool note_redo(PlanePair& pair, Value pixel0, Pass pass) {
    if (pass != Pass::kTogether) return false;
    pair.redo = pair.first != pair.second && !(is_finite(pixel0.re) && is_finite(pixel0.im));
    return pair.redo;
  }

  FREQOPS_HOST_DEVICE Value* element(int pair, int row, int column) {
    return shared_.plane + pair * Plan::kPlanePitch + row * Plan::kPitch + column;
  }

  // Reads the planes and, where W has two stages, does the first one on the way.
  FREQOPS_HOST_DEVICE void load(int thread) {
    if constexpr (AxisW::kTwoStages) {
      for_each_first_stage(thread, [&](PlanePair& pair, int pixel, Value* base, const auto& twiddle) {
        first_stage<AxisW>([&](auto j) { return load_pixel(pair, pixel + j * AxisW::kSpan); }, twiddle,
                           [&](auto j, Value v) { base[j * AxisW::kSpan] = v; });
      });
    } else {
      for_each_pixel(thread, [&](PlanePair& pair, int pixel, Value& value) { value = load_pixel(pair, pixel); });
    }
  }

  // The way back. True if a pair that this thread has seen must be redone.
  FREQOPS_HOST_DEVICE bool store(int thread, Pass pass) {
    bool redo = false;
    if constexpr (AxisW::kTwoStages) {
      for_each_first_stage(thread, [&](PlanePair& pair, int pixel, const Value* base, const auto& twiddle) {
        first_stage_inverse<AxisW>([&](auto j) { return base[j * AxisW::kSpan]; }, twiddle,
                                   [&](auto j, Value v) {
                                     store_pixel(pair, pixel + j * AxisW::kSpan, v);
                                     if (j == 0 && pixel == 0) redo |= note_redo(pair, v, pass);
                                   });
      });
    } else {
      for_each_pixel(thread, [&](PlanePair& pair, int pixel, const Value& value) {
        store_pixel(pair, pixel, value);
        if (pixel == 0) redo |= note_redo(pair, value, pass);
      });
    }
    return redo;
  }

  template <class F>
  FREQOPS_HOST_DEVICE void for_each_pixel(int thread, F&& f) {
    for_each_task<Plan::kPairs * Plan::kPixels>(thread, [&](int task) {
      const int p = task / Plan::kPixels, pixel = task % Plan::kPixels;
      PlanePair& pair = shared_.pair[p];
      if (pair.active) f(pair, pixel, *element(p, pixel / kWidth, pixel % kWidth));
    });
  }

  // Calls f(pair, first pixel, its place in shared memory, twiddle) for the butterflies of the
  // first W stage. Those of one thread have the same offset in their rows, so their twiddles are
  // read once.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_first_stage(int thread, F&& f) {
    const int offset = thread % AxisW::kSpan;
    Value roots[AxisW::kRadix0];
    static_for<AxisW::kRadix0>([&](auto j) { roots[j] = shared_.roots[j * offset]; });
    const auto twiddle = [&](auto j) { return roots[j]; };
    for_each_task<kRows * AxisW::kSpan>(thread, [&](int task) {
      const int row_of_all = row_of(task / AxisW::kSpan), p = row_of_all / kHeight, row = row_of_all % kHeight;
      PlanePair& pair = shared_.pair[p];
      if (pair.active) f(pair, row * kWidth + offset, element(p, row, offset), twiddle);
    });
  }
  // With a span of 8 a half-warp covers two rows. Taken 8 rows apart they lie in different banks: 8
  // times an odd pitch is 8 modulo 16.
  static FREQOPS_HOST_DEVICE int row_of(int index) {
    if constexpr (AxisW::kSpan == 8 && kRows % 16 == 0) return index / 16 * 16 + index % 2 * 8 + index / 2 % 8;
    return index;
  }

  // Splits a task into a pair and one of `Lines` rows or columns.
  template <int Lines>
  static FREQOPS_HOST_DEVICE void split(int task, int& pair, int& line) {
    pair = Plan::kInterleaved ? task % Plan::kPairs : task / Lines;
    line = Plan::kInterleaved ? task / Plan::kPairs : task % Lines;
  }

  template <int Sign>
  FREQOPS_HOST_DEVICE void rows_last_stage(int thread) {
    constexpr int kRadix = AxisW::kLastRadix;
    for_each_task<kRows * AxisW::kLastBlocks>(thread, [&](int task) {
      int pair, row;
      split<kHeight>(task % kRows, pair, row);
      Value* base = element(pair, row, task / kRows * kRadix);
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = base[j]; });
      Dft<kRadix, Sign>::run(v);
      static_for<kRadix>([&](auto j) { base[j] = v[j]; });
    });
  }

  template <int Sign>
  FREQOPS_HOST_DEVICE void columns_first_stage(int thread) {
    constexpr int kSpan = AxisH::kSpan;
    const Value* roots = shared_.roots + (Plan::kShareRoots ? 0 : Plan::kRootsW);
    for_each_task<Plan::kPairs * kWidth * kSpan>(thread, [&](int task) {
      const int column = task % kWidth, offset = task / kWidth % kSpan, pair = task / (kWidth * kSpan);
      Value* base = element(pair, offset, column);
      const auto load = [&](auto j) { return base[j * kSpan * Plan::kPitch]; };
      const auto twiddle = [&](auto j) { return roots[j * offset]; };
      const auto store = [&](auto j, Value v) { base[j * kSpan * Plan::kPitch] = v; };
      if constexpr (Sign < 0) {
        first_stage<AxisH>(load, twiddle, store);
      } else {
        first_stage_inverse<AxisH>(load, twiddle, store);
      }
    });
  }

  FREQOPS_HOST_DEVICE void columns_last_stage_and_response(int thread) {
    constexpr int kRadix = AxisH::kLastRadix, kBlocks = AxisH::kLastBlocks;
    for_each_task<Plan::kPairs * kWidth * kBlocks>(thread, [&](int task) {
      int pair, line;
      split<kWidth * kBlocks>(task, pair, line);
      const int column = line % kWidth, row = line / kWidth * kRadix;
      Value* base = element(pair, row, column);
      const Gain* gain = response_ + shared_.pair[pair].response + row * kWidth + column;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = base[j * Plan::kPitch]; });
      Dft<kRadix, -1>::run(v);
      static_for<kRadix>([&](auto j) { v[j] = apply_gain(v[j], gain[j * kWidth]); });
      Dft<kRadix, 1>::run(v);
      static_for<kRadix>([&](auto j) { base[j * Plan::kPitch] = v[j]; });
    });
  }

  Shared& shared_;
  const Io* x_;
  Io* y_;
  const Gain* response_;
  const PlaneBatch& batch_;
  int64_t first_pair_;
};

}  // namespace freqops::cuda
