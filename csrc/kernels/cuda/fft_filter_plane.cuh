// Two real planes a and b become one complex plane a + ib in shared memory. The filter is a real linear operator, so it
// acts on both at once and nothing has to be unpacked: a forward transform over W, over H, the response, and the way
// back, of which the last forward stage over H, the response and the first inverse stage happen in registers.
//
// A NaN or an infinity in one plane would reach the other one of its pair. It then shows in pixel 0 of the result,
// which is a sum over all bins, and so does a value that overflowed on the way to the spectrum. Such a pair is redone
// by the same block, each plane as a pair with itself; clean pairs of the block keep what they have.
#pragma once

#include "axis.h"
#include "element.h"
#include "phases.h"
#include "response_table.cuh"

#include <cstdint>

namespace freqops::cuda {

// Pairs planes per block are kept side by side in shared memory, Threads work on them. BlocksPerSm is what the
// register budget is made for; devices with less shared memory run fewer.
template <class AxisH_, class AxisW_, int Pairs, int Threads, int BlocksPerSm>
struct PlanePlan {
  using AxisH = AxisH_;
  using AxisW = AxisW_;
  static constexpr int kHeight = AxisH::kLength, kWidth = AxisW::kLength, kPixels = kHeight * kWidth;
  static constexpr int kPairs = Pairs, kRows = Pairs * kHeight, kThreads = Threads, kBlocksPerSm = BlocksPerSm;
  // An odd pitch lets neighbouring threads take neighbouring rows without a bank conflict.
  static constexpr int kPitch = kWidth | 1;
  // Twiddles lie in shared memory: first those of W, then those of H unless they are the same.
  static constexpr int kRootsW = AxisW::kTwoStages ? kWidth : 0;
  static constexpr bool kShareRoots = kHeight == kWidth && AxisW::kTwoStages;
  static constexpr int kRootsH = AxisH::kTwoStages && !kShareRoots ? kHeight : 0;
  static constexpr int kRoots = kRootsW + kRootsH;
};

struct PlaneBatch {
  int64_t images;
  uint32_t channels;
  FREQOPS_HOST_DEVICE int64_t pairs() const { return (images + 1) / 2 * channels; }
};

// Where the two planes of a pair start, in elements of x and y. The last plane of an odd batch is paired with itself.
struct PlanePair {
  int64_t first, second;
  int64_t response;
  bool active;
  bool redo;
};

template <class Plan>
struct PlaneShared {
  Complex<float> roots[Plan::kRoots > 0 ? Plan::kRoots : 1];
  Complex<float> plane[Plan::kRows * Plan::kPitch];
  PlanePair pair[Plan::kPairs];
};

enum class Pass { kTogether, kFirstApart, kSecondApart };

// Planes 2i and 2i + 1 of a channel form a pair: they have the same response.
template <class Plan>
FREQOPS_HOST_DEVICE void choose_pair(PlanePair& pair, const PlaneBatch& batch, int64_t index, Pass pass) {
  pair.active = index < batch.pairs() && (pass == Pass::kTogether || pair.redo);
  if (!pair.active) {
    pair.response = 0;
    return;
  }
  // Launchers keep the number of pairs below 2^31; a 64-bit division would cost as much as a small transform.
  const uint32_t image_pair = static_cast<uint32_t>(index) / batch.channels;
  const uint32_t channel = static_cast<uint32_t>(index) % batch.channels;
  const int64_t first_image = 2 * static_cast<int64_t>(image_pair);
  const int64_t second_image = first_image + 1 < batch.images ? first_image + 1 : first_image;
  pair.first = (first_image * batch.channels + channel) * Plan::kPixels;
  pair.second = (second_image * batch.channels + channel) * Plan::kPixels;
  pair.response = static_cast<int64_t>(channel) * Plan::kPixels;
  if (pass == Pass::kFirstApart) pair.second = pair.first;
  if (pass == Pass::kSecondApart) pair.first = pair.second;
}

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
  static constexpr int kHeight = Plan::kHeight, kWidth = Plan::kWidth, kRows = Plan::kRows, kPitch = Plan::kPitch;

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

  // Row of all pairs that a task of the first W stage works on. A span of 8 lets a half-warp cover two rows: taken
  // 8 rows apart they lie in different banks, since 8 * kPitch is 8 modulo 16.
  static FREQOPS_HOST_DEVICE int row_of(int index) {
    if constexpr (AxisW::kSpan == 8 && kRows % 16 == 0) return index / 16 * 16 + index % 2 * 8 + index / 2 % 8;
    return index;
  }

  // Reads the planes and, where W has two stages, does the first one on the way.
  FREQOPS_HOST_DEVICE void load(int thread) {
    if constexpr (AxisW::kTwoStages) {
      for_each_task<kRows * AxisW::kSpan>(thread, [&](int task) {
        const int offset = task % AxisW::kSpan, row = row_of(task / AxisW::kSpan);
        const PlanePair& pair = shared_.pair[row / kHeight];
        if (!pair.active) return;
        const int pixel = row % kHeight * kWidth + offset;
        Value* element = shared_.plane + row * kPitch + offset;
        first_stage<AxisW>(
            offset, shared_.roots, [&](auto j) { return load_pixel(pair, pixel + j * AxisW::kSpan); },
            [&](auto j, Value v) { element[j * AxisW::kSpan] = v; });
      });
    } else {
      for_each_task<kRows * kWidth>(thread, [&](int task) {
        const int row = task / kWidth, column = task % kWidth;
        const PlanePair& pair = shared_.pair[row / kHeight];
        if (pair.active) shared_.plane[row * kPitch + column] = load_pixel(pair, row % kHeight * kWidth + column);
      });
    }
  }

  FREQOPS_HOST_DEVICE bool store(int thread, Pass pass) {
    bool redo = false;
    if constexpr (AxisW::kTwoStages) {
      for_each_task<kRows * AxisW::kSpan>(thread, [&](int task) {
        const int offset = task % AxisW::kSpan, row = row_of(task / AxisW::kSpan);
        PlanePair& pair = shared_.pair[row / kHeight];
        if (!pair.active) return;
        const int pixel = row % kHeight * kWidth + offset;
        const Value* element = shared_.plane + row * kPitch + offset;
        first_stage_inverse<AxisW>(
            offset, shared_.roots, [&](auto j) { return element[j * AxisW::kSpan]; },
            [&](auto j, Value v) {
              store_pixel(pair, pixel + j * AxisW::kSpan, v);
              if constexpr (j == 0) {
                if (pixel == 0) redo |= note_redo(pair, v, pass);
              }
            });
      });
    } else {
      for_each_task<kRows * kWidth>(thread, [&](int task) {
        const int row = task / kWidth, column = task % kWidth;
        PlanePair& pair = shared_.pair[row / kHeight];
        if (!pair.active) return;
        const int pixel = row % kHeight * kWidth + column;
        const Value value = shared_.plane[row * kPitch + column];
        store_pixel(pair, pixel, value);
        if (pixel == 0) redo |= note_redo(pair, value, pass);
      });
    }
    return redo;
  }

  // Neighbouring threads take neighbouring rows: with the odd pitch they meet no bank twice.
  template <int Sign>
  FREQOPS_HOST_DEVICE void rows_last_stage(int thread) {
    constexpr int kRadix = AxisW::kLastRadix;
    for_each_task<kRows * AxisW::kLastBlocks>(thread, [&](int task) {
      Value* element = shared_.plane + task % kRows * kPitch + task / kRows * kRadix;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = element[j]; });
      Dft<kRadix, Sign>::run(v);
      static_for<kRadix>([&](auto j) { element[j] = v[j]; });
    });
  }

  // In the column phases neighbouring threads take neighbouring columns.
  template <int Sign>
  FREQOPS_HOST_DEVICE void columns_first_stage(int thread) {
    constexpr int kSpan = AxisH::kSpan;
    const Value* roots = shared_.roots + (Plan::kShareRoots ? 0 : Plan::kRootsW);
    for_each_task<Plan::kPairs * kWidth * kSpan>(thread, [&](int task) {
      const int column = task % kWidth, group = task / kWidth, offset = group % kSpan;
      Value* element = shared_.plane + (group / kSpan * kHeight + offset) * kPitch + column;
      const auto load = [&](auto j) { return element[j * kSpan * kPitch]; };
      const auto store = [&](auto j, Value v) { element[j * kSpan * kPitch] = v; };
      if constexpr (Sign < 0) {
        first_stage<AxisH>(offset, roots, load, store);
      } else {
        first_stage_inverse<AxisH>(offset, roots, load, store);
      }
    });
  }

  FREQOPS_HOST_DEVICE void columns_last_stage_and_response(int thread) {
    constexpr int kRadix = AxisH::kLastRadix, kBlocks = AxisH::kLastBlocks;
    for_each_task<Plan::kPairs * kWidth * kBlocks>(thread, [&](int task) {
      const int column = task % kWidth, group = task / kWidth, pair = group / kBlocks;
      const int row = group % kBlocks * kRadix;
      Value* element = shared_.plane + (pair * kHeight + row) * kPitch + column;
      const Gain* gain = response_ + shared_.pair[pair].response + row * kWidth + column;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = element[j * kPitch]; });
      Dft<kRadix, -1>::run(v);
      static_for<kRadix>([&](auto j) { v[j] = apply_gain(v[j], gain[j * kWidth]); });
      Dft<kRadix, 1>::run(v);
      static_for<kRadix>([&](auto j) { element[j * kPitch] = v[j]; });
    });
  }

  Shared& shared_;
  const Io* x_;
  Io* y_;
  const Gain* response_;
  const PlaneBatch& batch_;
  int64_t first_pair_;
};

// Every size that is compiled. Tuning means editing a row; the launcher and the host replay both read this list.
template <class... Plans>
struct PlanList {
  // Calls f(plan) with the plan of this size; false if there is none.
  template <class F>
  static bool with(int height, int width, F&& f) {
    const auto try_plan = [&](auto plan) {
      using Plan = decltype(plan);
      if (Plan::kHeight != height || Plan::kWidth != width) return false;
      f(plan);
      return true;
    };
    return (try_plan(Plans{}) || ...);
  }
  template <class F>
  static void for_each(F&& f) {
    (f(Plans{}), ...);
  }
};
//                                  H             W        pairs threads blocks per SM
using PlanePlans = PlanList<PlanePlan<Axis<7>,      Axis<7>,      36, 252, 5>,
                            PlanePlan<Axis<8>,      Axis<8>,      32, 256, 5>,
                            PlanePlan<Axis<14>,     Axis<14>,     18, 252, 3>,
                            PlanePlan<Axis<16>,     Axis<16>,     16, 256, 3>,
                            PlanePlan<Axis<28>,     Axis<28>,      8, 224, 3>,
                            PlanePlan<Axis<32>,     Axis<32>,      8, 256, 2>,
                            PlanePlan<Axis<8, 7>,   Axis<7, 8>,    2, 224, 4>,
                            PlanePlan<Axis<8, 8>,   Axis<8, 8>,    1, 256, 4>,
                            PlanePlan<Axis<12, 8>,  Axis<6, 16>,   1, 384, 2>,
                            PlanePlan<Axis<14, 8>,  Axis<7, 16>,   1, 448, 2>,
                            PlanePlan<Axis<16, 8>,  Axis<8, 16>,   1, 512, 1>>;

}  // namespace freqops::cuda
