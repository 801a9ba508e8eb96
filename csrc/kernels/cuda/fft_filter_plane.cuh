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

#include <climits>
#include <cstdint>

#include "axis.h"
#include "element.h"
#include "fft_filter_plane.h"
#include "filter_arguments.h"
#include "phases.h"
#include "plane_plan.cuh"
#include "response_table.cuh"

namespace freqops::cuda {

// Blocks take groups of kPairs pairs. With Many, a block keeps the spectrum in its part of the work
// memory (which stays in the L2 cache) and comes back from it once per response.
template <class Plan, class Io, class Gain, bool Many>
class PlaneFilter {
 public:
  static constexpr int kThreads = Plan::kThreads;
  // Coming back to the spectrum takes registers for its addresses beside those of a large butterfly.
  static constexpr int kBlocksPerSm = Many && Plan::AxisH::kLastRadix > 16 ? 2 : Plan::kBlocksPerSm;
  static constexpr int kSharedBytes = sizeof(PlaneShared<Plan>), kClusterBlocks = 1;
  using Arguments = FilterArguments<Io, Gain>;

  static FREQOPS_HOST_DEVICE int64_t groups(const PlaneBatch& batch) {
    return (batch.pairs() + Plan::kPairs - 1) / Plan::kPairs;
  }
  // Complex values of work memory for each block.
  static FREQOPS_CONSTEXPR int64_t work_size() { return Many ? static_cast<int64_t>(kThreads) * kTasks * kRadix : 0; }

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    auto& shared = *reinterpret_cast<PlaneShared<Plan>*>(phases.own_shared());
    PlaneFilter filter(shared, arguments, index);
    if constexpr (Plan::kRoots > 0) phases.run([&](int thread) { filter.load_roots(thread); });
    if constexpr (Many) {
      const int64_t groups = PlaneFilter::groups(arguments.batch);
      for (int64_t group = index; group < groups; group += count) filter.run_group(phases, group);
    } else {
      filter.run_group(phases, index);
    }
  }

 private:
  using AxisH = typename Plan::AxisH;
  using AxisW = typename Plan::AxisW;
  using Value = Complex<float>;
  static constexpr int kHeight = Plan::kHeight, kWidth = Plan::kWidth, kRows = Plan::kRows;
  // The phase in which the response is applied: butterflies of kRadix, up to kTasks per thread.
  static constexpr int kRadix = AxisH::kLastRadix, kButterflies = Plan::kPairs * kWidth * AxisH::kLastBlocks;
  static constexpr int kTasks = (kButterflies + kThreads - 1) / kThreads;

  FREQOPS_HOST_DEVICE PlaneFilter(PlaneShared<Plan>& shared, const Arguments& arguments, unsigned block)
      : shared_(shared), arguments_(arguments), block_(block) {}

  template <class Phases>
  FREQOPS_HOST_DEVICE void run_group(const Phases& phases, int64_t group) {
    // A loop rather than three calls: the code of a pass exists once.
    int pass = 0;
    do {
      if (!filter(phases, group * Plan::kPairs, static_cast<Pass>(pass)) && pass == 0) break;
    } while (++pass < 3);
  }

  // True if a pair has to be redone apart.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool filter(const Phases& phases, int64_t first_pair, Pass pass) {
    phases.run([&](int thread) {
      for (int p = thread; p < Plan::kPairs; p += kThreads) {
        choose_pair(shared_.pair[p], arguments_.batch, {Plan::kPixels, Plan::kPixels}, first_pair + p, pass);
      }
    });
    phases.run([&](int thread) { load(thread); });
    phases.run([&](int thread) { rows_last_stage<-1>(thread); });
    if constexpr (AxisH::kTwoStages) phases.run([&](int thread) { columns_first_stage<-1>(thread); });
    if constexpr (Many) {
      phases.run([&](int thread) { keep_spectrum(thread); });
      bool redo = false;
      for (int r = 0; r < arguments_.responses; ++r) {
        phases.run([&](int thread) { apply_response(thread, r); });
        redo |= return_to_image(phases, r, pass);
      }
      return redo;
    } else {
      phases.run([&](int thread) { transform_and_apply_response(thread); });
      return return_to_image(phases, 0, pass);
    }
  }

  template <class Phases>
  FREQOPS_HOST_DEVICE bool return_to_image(const Phases& phases, int r, Pass pass) {
    if constexpr (AxisH::kTwoStages) phases.run([&](int thread) { columns_first_stage<1>(thread); });
    phases.run([&](int thread) { rows_last_stage<1>(thread); });
    return phases.run_any([&](int thread) { return store(thread, r, pass); });
  }

  // Calls f(task) for the tasks of one thread.
  template <int Tasks, class F>
  static FREQOPS_HOST_DEVICE void for_each_task(int thread, F&& f) {
    for (int task = thread; task < Tasks; task += kThreads) f(task);
  }

  FREQOPS_HOST_DEVICE void load_roots(int thread) {
    for_each_task<Plan::kRoots>(thread, [&](int i) {
      shared_.roots[i] = i < Plan::kRootsW ? kRootTable<kWidth>.root[i] : kRootTable<kHeight>.root[i - Plan::kRootsW];
    });
  }

  FREQOPS_HOST_DEVICE Value load_pixel(const PlanePair& pair, int pixel) const {
    return {to_float(arguments_.x[pair.first + pixel]), to_float(arguments_.x[pair.second + pixel])};
  }
  // slab: where the images of this response start in y.
  FREQOPS_HOST_DEVICE void store_pixel(const PlanePair& pair, int64_t slab, int pixel, Value value) {
    store_element(slab, pair.first + pixel, value.re);
    if (pair.second != pair.first) store_element(slab, pair.second + pixel, value.im);
  }
  FREQOPS_HOST_DEVICE void store_element(int64_t slab, int64_t place, float value) {
    from_float(value, arguments_.y[slab + place]);
    if constexpr (Many) {
      // From the unrounded value: half types round once.
      if (arguments_.high) from_float(to_float(arguments_.x[place]) - value, arguments_.high[slab + place]);
    }
  }
  // Notes for a later pass whether the pair that has this pixel 0 must be redone.
  FREQOPS_HOST_DEVICE bool note_redo(PlanePair& pair, Value pixel0, Pass pass) {
    if (pass != Pass::kTogether || pair.first == pair.second) return false;
    const bool redo = !(is_finite(pixel0.re) && is_finite(pixel0.im));
    if (redo) pair.redo = true;
    return redo;
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
      load_pixels(PixelsOfThread(thread));
    }
  }

  // The way back. True if a pair that this thread has seen must be redone.
  FREQOPS_HOST_DEVICE bool store(int thread, int r, Pass pass) {
    const int64_t slab = Many ? r * arguments_.batch.planes() * Plan::kPixels : 0;
    bool redo = false;
    if constexpr (AxisW::kTwoStages) {
      for_each_first_stage(thread, [&](PlanePair& pair, int pixel, const Value* base, const auto& twiddle) {
        first_stage_inverse<AxisW>([&](auto j) { return base[j * AxisW::kSpan]; }, twiddle,
                                   [&](auto j, Value v) {
                                     store_pixel(pair, slab, pixel + j * AxisW::kSpan, v);
                                     if (j == 0 && pixel == 0) redo |= note_redo(pair, v, pass);
                                   });
      });
    } else {
      redo = store_pixels(PixelsOfThread(thread), slab, pass);
    }
    return redo;
  }

  // Where one stage does an axis, a thread takes the same pixels of every pair that it meets: where
  // they lie is computed once. Groups of threads have pairs of their own.
  static constexpr int kPixelSteps = (Plan::kPixels + kThreads - 1) / kThreads;
  static constexpr int kPixelGroups = kPixelSteps == 1 ? kThreads / Plan::kPixels : 1;
  static_assert(AxisW::kTwoStages || kPixelSteps == 1 || kThreads % kWidth == 0, "steps are whole rows");
  struct PixelsOfThread {
    int group, first, first_place;
    explicit FREQOPS_HOST_DEVICE PixelsOfThread(int thread)
        : group(kPixelGroups == 1 ? 0 : thread / Plan::kPixels),
          first(thread - group * Plan::kPixels),
          first_place(first / kWidth * Plan::kPitch + first % kWidth) {}
    FREQOPS_HOST_DEVICE int pixel(int step) const { return first + step * kThreads; }
    FREQOPS_HOST_DEVICE int place(int step) const { return first_place + step * (kThreads / kWidth) * Plan::kPitch; }
    FREQOPS_HOST_DEVICE bool inside(int step) const { return group < kPixelGroups && pixel(step) < Plan::kPixels; }
  };

  // All loads of some pairs, then what they brought: that many are on their way at the same time. A
  // pair that is not active stands for the first plane, which there always is.
  FREQOPS_HOST_DEVICE void load_pixels(const PixelsOfThread& pixels) {
    constexpr int kPairsOfGroup = Plan::kPairs / kPixelGroups;
    // Enough to cover the way to memory, within the registers that the other phases need anyway.
    constexpr int kInFlight = !Many && kThreads * kBlocksPerSm <= 512 ? 8 : 4;
    constexpr int kTogether = kPixelSteps * kPairsOfGroup <= kInFlight ? kPairsOfGroup : kInFlight / kPixelSteps;
    static_assert(kPairsOfGroup * kPixelGroups == Plan::kPairs && kPairsOfGroup % kTogether == 0);
    FREQOPS_ONE_TURN
    for (int start = 0; start < kPairsOfGroup; start += kTogether) {
      Value value[kTogether][kPixelSteps];
      static_for<kTogether>([&](auto i) {
        const PlanePair pair = shared_.pair[(start + i) * kPixelGroups + pixels.group % kPixelGroups];
        static_for<kPixelSteps>([&](auto step) {
          value[i][step] = pixels.inside(step) ? load_pixel(pair, pixels.pixel(step)) : Value{0, 0};
        });
      });
      static_for<kTogether>([&](auto i) {
        Value* plane = shared_.plane + ((start + i) * kPixelGroups + pixels.group) * Plan::kPlanePitch;
        static_for<kPixelSteps>([&](auto step) {
          if (pixels.inside(step)) plane[pixels.place(step)] = value[i][step];
        });
      });
    }
  }
  FREQOPS_HOST_DEVICE bool store_pixels(const PixelsOfThread& pixels, int64_t slab, Pass pass) {
    if (pixels.group >= kPixelGroups) return false;
    bool redo = false;
    for (int p = pixels.group; p < Plan::kPairs; p += kPixelGroups) {
      const PlanePair pair = shared_.pair[p];
      if (!pair.active) continue;
      const Value* plane = shared_.plane + p * Plan::kPlanePitch;
      static_for<kPixelSteps>([&](auto step) {
        if (!pixels.inside(step)) return;
        const Value value = plane[pixels.place(step)];
        store_pixel(pair, slab, pixels.pixel(step), value);
        if (step == 0 && pixels.first == 0) redo |= note_redo(shared_.pair[p], value, pass);
      });
    }
    return redo;
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

  // Calls f(butterfly of the thread, its first element, its first entry in a plane's table, pair).
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_last_butterfly(int thread, F&& f) {
    int number = 0;
    for_each_task<kButterflies>(thread, [&](int task) {
      int pair, line;
      split<kWidth * AxisH::kLastBlocks>(task, pair, line);
      const int column = line % kWidth, row = line / kWidth * kRadix;
      f(number++, element(pair, row, column), row * kWidth + column, shared_.pair[pair]);
    });
  }

  FREQOPS_HOST_DEVICE void transform_and_apply_response(int thread) {
    for_each_last_butterfly(thread, [&](int, Value* base, int entry, const PlanePair& pair) {
      const Gain* gain = arguments_.table + pair.response + entry;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = base[j * Plan::kPitch]; });
      Dft<kRadix, -1>::run(v);
      static_for<kRadix>([&](auto j) { v[j] = apply_gain(v[j], gain[j * kWidth]); });
      Dft<kRadix, 1>::run(v);
      static_for<kRadix>([&](auto j) { base[j * Plan::kPitch] = v[j]; });
    });
  }

  // The same in two steps. Each thread finds in the work memory what it left there itself, so no
  // barrier is needed for it, and neighbours lie side by side.
  FREQOPS_HOST_DEVICE Value* kept(int thread, int butterfly) {
    return arguments_.work + block_ * work_size() + static_cast<int64_t>(butterfly) * kRadix * kThreads + thread;
  }
  FREQOPS_HOST_DEVICE void keep_spectrum(int thread) {
    for_each_last_butterfly(thread, [&](int number, const Value* base, int, const PlanePair&) {
      Value* place = kept(thread, number);
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = base[j * Plan::kPitch]; });
      Dft<kRadix, -1>::run(v);
      static_for<kRadix>([&](auto j) { place[j * kThreads] = v[j]; });
    });
  }
  FREQOPS_HOST_DEVICE void apply_response(int thread, int r) {
    const Gain* table = arguments_.table + static_cast<int64_t>(r) * arguments_.batch.channels * Plan::kPixels;
    for_each_last_butterfly(thread, [&](int number, Value* base, int entry, const PlanePair& pair) {
      const Value* place = kept(thread, number);
      const Gain* gain = table + pair.response + entry;
      Value v[kRadix];
      static_for<kRadix>([&](auto j) { v[j] = apply_gain(place[j * kThreads], gain[j * kWidth]); });
      Dft<kRadix, 1>::run(v);
      static_for<kRadix>([&](auto j) { base[j * Plan::kPitch] = v[j]; });
    });
  }

  PlaneShared<Plan>& shared_;
  const Arguments& arguments_;
  const unsigned block_;
};

template <class Launcher>
bool plane_takes(const Launcher& launcher, int height, int width) {
  bool takes = false;
  PlanePlans::with(height, width, [&](auto plan) {
    using Program = PlaneFilter<decltype(plan), float, float, false>;
    takes = launcher.template can_run<Program>(Program::kSharedBytes);
  });
  return takes;
}

template <class Launcher>
int64_t plane_work_bytes(const Launcher& launcher, const FilterShape& shape) {
  if (!shape.many()) return 0;
  int64_t bytes = 0;
  PlanePlans::with(shape.height, shape.width, [&](auto plan) {
    using Program = PlaneFilter<decltype(plan), float, float, true>;
    const int64_t groups = Program::groups({shape.images, static_cast<uint32_t>(shape.channels)});
    bytes = persistent_blocks<Program>(launcher, groups) * Program::work_size() * int64_t{sizeof(Complex<float>)};
  });
  return bytes;
}

template <class Launcher, class Io>
int run_plane_filter(const Launcher& launcher, const FilterProblem& problem) {
  const FilterShape& shape = problem.shape;
  int error = kInvalid;
  PlanePlans::with(shape.height, shape.width, [&](auto plan) {
    const auto start = [&]<class Gain, bool Many>(const Gain* table) {
      using Program = PlaneFilter<decltype(plan), Io, Gain, Many>;
      const auto arguments = filter_arguments<Io>(problem, table);
      const int64_t groups = Program::groups(arguments.batch);
      // choose_pair divides in 32 bits, and the grid has no more blocks than that.
      if (arguments.batch.pairs() > INT_MAX) return kInvalid;
      return launcher.template run<Program>(Many ? persistent_blocks<Program>(launcher, groups) : groups,
                                            Program::kSharedBytes, arguments);
    };
    const auto* real = problem.table;
    const auto* complex = reinterpret_cast<const Complex<float>*>(problem.table);
    if (shape.many()) {
      error = shape.complex_response ? start.template operator()<Complex<float>, true>(complex)
                                     : start.template operator()<float, true>(real);
    } else {
      error = shape.complex_response ? start.template operator()<Complex<float>, false>(complex)
                                     : start.template operator()<float, false>(real);
    }
  });
  return error;
}

}  // namespace freqops::cuda
