// The even and the odd columns of one real plane are the real and the imaginary part of a complex
// plane z of half the width, which is how its rows lie in memory. It stays in the shared memory of
// one block, or is spread over that of a cluster, each block with as many rows.
//
// With Z the transform of z over H and W / 2, k = (kh, kw), -k = (-kh mod H, -kw mod W / 2) and
// w = exp(-2 pi i kw / W), the transforms of the even and of the odd columns are
//   E = (Z[k] + conj Z[-k]) / 2,  O = (Z[k] - conj Z[-k]) / 2i,
// and the spectrum of the plane is E + w O at (kh, kw) and E - w O at (kh, kw + W / 2). Let m and n
// be the response there, a = (m + n) / 2 and b = (m - n) / 2. The filtered plane has
//   E' = a E + b w O,  O' = a O + b conj(w) E,
//   Z'[k] = E' + i O',  Z'[-k] = conj E' + i conj O',
// the last one because the response is Hermitian and the result real. With w = c - i s this is
//   Z'[k]  =      (a - s b) Z[k]  +      (c b) i conj Z[-k],
//   Z'[-k] = conj (a + s b) Z[-k] + conj (c b) i conj Z[k],
// so that all of the unpacking is one small step on pairs (k, -k), done in registers between the
// last forward and the first inverse stage over H. Where k = -k the two lines are one number.
//
// In a cluster, the first stage over H takes one element from each block, and the pair step of a
// block meets rows of one other block. A barrier of the cluster follows the last of these phases, so
// no block leaves while its memory is in use.
//
// A block works on one plane at a time and writes all of its shared memory anew for the next: a NaN
// or an infinity never reaches another plane.
#pragma once

#include <climits>
#include <cstdint>

#include "axis.h"
#include "element.h"
#include "even_odd_plan.cuh"
#include "fft_filter_even_odd.h"
#include "filter_arguments.h"
#include "phases.h"

namespace freqops::cuda {

// Neighbouring elements of a row, moved by one instruction.
template <class Io>
struct alignas(2 * sizeof(Io)) ElementPair {
  Io even, odd;
};

FREQOPS_HOST_DEVICE float scaled(float gain, float factor) { return gain * factor; }
FREQOPS_HOST_DEVICE Complex<float> scaled(Complex<float> gain, float factor) {
  return {gain.re * factor, gain.im * factor};
}
FREQOPS_HOST_DEVICE Complex<float> apply_gain_conj(Complex<float> value, float gain) { return apply_gain(value, gain); }
FREQOPS_HOST_DEVICE Complex<float> apply_gain_conj(Complex<float> value, Complex<float> gain) {
  return multiply_conj(value, gain);
}
// i conj(value)
FREQOPS_HOST_DEVICE Complex<float> turned_conj(Complex<float> value) { return {value.im, value.re}; }

// The pair step for one k.
template <class Gain>
FREQOPS_HOST_DEVICE void filter_bins(Complex<float>& bin, Complex<float>& mirrored, GainPair<Gain> gain,
                                     Complex<float> w) {
  const Gain turned = scaled(gain.difference, w.im), across = scaled(gain.difference, w.re);
  const Complex<float> new_bin = apply_gain(bin, gain.sum + turned) + apply_gain(turned_conj(mirrored), across);
  mirrored = apply_gain_conj(mirrored, gain.sum - turned) + apply_gain_conj(turned_conj(bin), across);
  bin = new_bin;
}

// Blocks, or clusters, take one plane after the other: roots are read and a cluster is formed once.
// With Many they keep the spectrum in their part of the work memory (which stays in the L2 cache)
// and come back from it once per response.
template <class Plan, class Io, class Gain, bool Many>
class EvenOddFilter {
 public:
  static constexpr int kThreads = Plan::kThreads;
  // Coming back to the spectrum takes registers for its addresses beside two butterflies and gains of
  // two numbers.
  static constexpr bool kFewerBlocks = Many && sizeof(Gain) > sizeof(float) && Plan::kBlocksPerSm > 1;
  static constexpr int kBlocksPerSm = Plan::kBlocksPerSm - (kFewerBlocks ? 1 : 0);
  static constexpr int kSharedBytes = sizeof(EvenOddShared<Plan>), kClusterBlocks = Plan::kBlocks;
  using Arguments = FilterArguments<Io, GainPair<Gain>>;

  // Complex values of work memory for each block or cluster.
  static FREQOPS_CONSTEXPR int64_t work_size() { return Many ? Plan::kBlocks * kBlockWork : 0; }

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    EvenOddFilter filter(*reinterpret_cast<Shared*>(phases.own_shared()), arguments);
    phases.run([&](int thread, int rank) { filter.prepare(index, thread, rank); });
    const auto planes = static_cast<unsigned>(arguments.batch.planes());
    for (unsigned plane = index; plane < planes; plane += count) filter.filter(phases, plane);
  }

 private:
  using AxisH = typename Plan::AxisH;
  using AxisW = typename Plan::AxisW;
  using Shared = EvenOddShared<Plan>;
  using Value = Complex<float>;
  static constexpr int kBlocks = Plan::kBlocks, kRows = Plan::kRows, kColumns = Plan::kColumns, kPitch = Plan::kPitch;
  static constexpr int kRadix0W = AxisW::kRadix0, kRadix1 = AxisH::kRadix1;
  // Up to kTasks pairs of butterflies per thread in the pair step.
  static constexpr int kTasks = (Plan::pairs(0) + kThreads - 1) / kThreads;
  static constexpr int64_t kBlockWork = int64_t{kThreads} * kTasks * 2 * kRadix1;

  FREQOPS_HOST_DEVICE EvenOddFilter(Shared& shared, const Arguments& arguments)
      : shared_(shared), arguments_(arguments) {}

  // A phase next to a pair step that meets other blocks.
  template <class Phases, class F>
  static FREQOPS_HOST_DEVICE void run_next_to_pairs(const Phases& phases, F&& f) {
    if constexpr (kBlocks <= 2) {
      phases.run(f);
    } else {
      phases.run_across(f);
    }
  }

  template <class Phases>
  FREQOPS_HOST_DEVICE void filter(const Phases& phases, unsigned plane) {
    phases.run([&](int thread, int rank) { choose_plane(plane, thread, rank); });
    phases.run([&](int thread) { load(thread); });
    phases.run_across([&](int thread) { rows_last_stage<-1>(thread); });
    if constexpr (kBlocks > 1) phases.run_across([&](int thread, int rank) { stage_across<-1>(phases, thread, rank); });
    run_next_to_pairs(phases, [&](int thread) { columns_first_stage<-1>(thread); });
    if constexpr (Many) {
      phases.run([&](int thread, int rank) { keep_spectrum(phases, thread, rank); });
      for (int r = 0; r < arguments_.responses; ++r) {
        run_next_to_pairs(phases, [&](int thread, int rank) { apply_response(phases, thread, rank, r); });
        return_to_image(phases, r);
      }
    } else {
      run_next_to_pairs(phases, [&](int thread, int rank) { transform_and_apply_response(phases, thread, rank); });
      return_to_image(phases, 0);
    }
  }

  template <class Phases>
  FREQOPS_HOST_DEVICE void return_to_image(const Phases& phases, int r) {
    phases.run_across([&](int thread) { columns_first_stage<1>(thread); });
    if constexpr (kBlocks > 1) phases.run_across([&](int thread, int rank) { stage_across<1>(phases, thread, rank); });
    phases.run([&](int thread) { rows_last_stage<1>(thread); });
    const auto store_plane = [&](int thread) { store(thread, r); };
    if constexpr (Many) {
      run_next_to_pairs(phases, store_plane);  // those of the next response
    } else {
      phases.run(store_plane);
    }
  }

  // Calls f(task) for the tasks of one thread.
  template <class F>
  static FREQOPS_HOST_DEVICE void for_each_task(int thread, int tasks, F&& f) {
    for (int task = thread; task < tasks; task += kThreads) f(task);
  }

  FREQOPS_HOST_DEVICE void prepare(unsigned index, int thread, int rank) {
    if constexpr (Many) {
      if (thread == 0) shared_.work = arguments_.work + (static_cast<int64_t>(index) * kBlocks + rank) * kBlockWork;
    }
    for_each_task(thread, kColumns, [&](int i) {
      shared_.roots_w[i] = kRootTable<kColumns>.root[i];
      shared_.unpack[i] = kRootTable<Plan::kWidth>.root[AxisW::frequency(i)];
    });
    for_each_task(thread, Plan::kHeight, [&](int i) { shared_.roots_h[i] = kRootTable<Plan::kHeight>.root[i]; });
  }

  // Planes are counted through the images of one channel first, so that neighbouring blocks read the
  // same response at the same time. Launchers keep their number below 2^31: a 64-bit division takes
  // long.
  FREQOPS_HOST_DEVICE void choose_plane(unsigned index, int thread, int rank) {
    if (thread > 0) return;
    const PlaneBatch& batch = arguments_.batch;
    const auto images = static_cast<unsigned>(batch.images);
    const unsigned channel = index / images, image = index % images;
    const int64_t plane = static_cast<int64_t>(image) * batch.channels + channel;
    shared_.first_pixel = plane * Plan::kPixels + rank * (kRows * Plan::kWidth);
    shared_.first_entry = (static_cast<int64_t>(channel) * Plan::kTableLines + Plan::first_table_line(rank)) * kColumns;
  }

  FREQOPS_HOST_DEVICE Value* element(int row, int column) { return shared_.plane + row * kPitch + column; }

  // Butterflies of the first W stage. Those of one thread have the same offset in their rows, so
  // their twiddles are read once.
  static constexpr int kButterfliesW = kRows * AxisW::kSpan;
  using ValuesW = Value[kRadix0W];
  FREQOPS_HOST_DEVICE void read_roots(ValuesW& roots, int thread) {
    static_for<kRadix0W>([&](auto j) { roots[j] = shared_.roots_w[j * (thread % AxisW::kSpan)]; });
  }
  struct FirstElement {
    int64_t pixel;
    Value* place;
  };
  FREQOPS_HOST_DEVICE FirstElement first_element(int task) {
    const int row = row_of_group<AxisW, kRows>(task / AxisW::kSpan), offset = task % AxisW::kSpan;
    return {shared_.first_pixel + row * Plan::kWidth + 2 * offset, element(row, offset)};
  }

  // The elements of one butterfly from a row of an image, and back.
  static FREQOPS_HOST_DEVICE void read_pairs(ValuesW& v, const Io* first) {
    static_for<kRadix0W>([&](auto j) {
      const auto pair = reinterpret_cast<const ElementPair<Io>*>(first)[j * AxisW::kSpan];
      v[j] = {to_float(pair.even), to_float(pair.odd)};
    });
  }
  static FREQOPS_HOST_DEVICE void write_pairs(const ValuesW& v, Io* first) {
    static_for<kRadix0W>([&](auto j) {
      ElementPair<Io> pair;
      from_float(v[j].re, pair.even);
      from_float(v[j].im, pair.odd);
      reinterpret_cast<ElementPair<Io>*>(first)[j * AxisW::kSpan] = pair;
    });
  }

  // Small butterflies are read two at a time: so many bytes are on their way from memory that a
  // multiprocessor does not wait longer than it has to.
  FREQOPS_HOST_DEVICE void load(int thread) {
    constexpr int kBytes = kRadix0W * kThreads * kBlocksPerSm * int{sizeof(Value)};
    constexpr int kTogether = kBytes < 40 * 1024 ? 2 : 1;
    ValuesW roots;
    read_roots(roots, thread);
    int task = thread;
    FREQOPS_ONE_TURN
    for (; task + (kTogether - 1) * kThreads < kButterfliesW; task += kTogether * kThreads) {
      load<kTogether>(task, roots);
    }
    if (kTogether > 1 && task < kButterfliesW) load<1>(task, roots);
  }
  template <int Together>
  FREQOPS_HOST_DEVICE void load(int task, const ValuesW& roots) {
    ValuesW v[Together];
    static_for<Together>([&](auto i) { read_pairs(v[i], arguments_.x + first_element(task + i * kThreads).pixel); });
    static_for<Together>([&](auto i) {
      Value* base = first_element(task + i * kThreads).place;
      first_stage<AxisW>([&](auto j) { return v[i][j]; }, [&](auto j) { return roots[j]; },
                         [&](auto j, Value value) { base[j * AxisW::kSpan] = value; });
    });
  }

  // The way back.
  FREQOPS_HOST_DEVICE void store(int thread, int r) {
    const int64_t slab = Many ? r * arguments_.batch.planes() * Plan::kPixels : 0;
    ValuesW roots;
    read_roots(roots, thread);
    for_each_task(thread, kButterfliesW, [&](int task) {
      const auto [pixel, base] = first_element(task);
      ValuesW v;
      first_stage_inverse<AxisW>([&](auto j) { return base[j * AxisW::kSpan]; }, [&](auto j) { return roots[j]; },
                                 [&](auto j, Value value) { v[j] = value; });
      write_pairs(v, arguments_.y + slab + pixel);
      if constexpr (Many) {
        if (arguments_.high) store_high(v, pixel, slab);
      }
    });
  }
  // From the unrounded values: half types round once.
  FREQOPS_HOST_DEVICE void store_high(const ValuesW& low, int64_t pixel, int64_t slab) {
    ValuesW v;
    read_pairs(v, arguments_.x + pixel);
    static_for<kRadix0W>([&](auto j) { v[j] = v[j] - low[j]; });
    write_pairs(v, arguments_.high + slab + pixel);
  }

  template <int Sign>
  FREQOPS_HOST_DEVICE void rows_last_stage(int thread) {
    for_each_task(thread, kRows * AxisW::kLastBlocks, [&](int task) {
      last_stage_in_place<AxisW, Sign, 1>(element(task % kRows, task / kRows * AxisW::kLastRadix));
    });
  }

  // Its butterflies are spread over the whole cluster.
  template <int Sign, class Phases>
  FREQOPS_HOST_DEVICE void stage_across(const Phases& phases, int thread, int rank) {
    using Across = typename Plan::AxisAcross;
    for (int task = rank * kThreads + thread; task < kRows * kColumns; task += kBlocks * kThreads) {
      const int row = task / kColumns;
      Value* base = element(row, task % kColumns);
      const auto load = [&](auto j) { return *phases.in_block(j, base); };
      const auto twiddle = [&](auto j) { return shared_.roots_h[j * row]; };
      const auto store = [&](auto j, Value v) { *phases.in_block(j, base) = v; };
      if constexpr (Sign < 0) {
        first_stage<Across>(load, twiddle, store);
      } else {
        first_stage_inverse<Across>(load, twiddle, store);
      }
    }
  }

  template <int Sign>
  FREQOPS_HOST_DEVICE void columns_first_stage(int thread) {
    for_each_task(thread, AxisH::kSpan * kColumns, [&](int task) {
      const int column = task % kColumns, offset = task / kColumns;
      first_stage_in_place<AxisH, Sign, kPitch>(element(offset, column), shared_.roots_h, kBlocks * offset);
    });
  }

  // A pair of butterflies of the last stage over H, mirror images of each other.
  struct Butterflies {
    Value* base;
    Value* mirrored_base;
    int entry;  // of the response's part that this block reads
    Value unpack;
    bool rotated;  // see apply_gains
    bool same;     // the butterfly is its own mirror image
  };
  // Calls f(task, butterflies).
  template <class Phases, class F>
  FREQOPS_HOST_DEVICE void for_each_pair(const Phases& phases, int thread, int rank, F&& f) {
    for_each_task(thread, Plan::pairs(rank), [&](int task) {
      const auto pair = Plan::pair(rank, task);
      Value* mirrored = element(pair.mirrored_butterfly * kRadix1, pair.mirrored_column);
      if constexpr (kBlocks > 2) mirrored = phases.in_block((kBlocks - rank) % kBlocks, mirrored);
      f(task, Butterflies{element(pair.butterfly * kRadix1, pair.column), mirrored,
                          pair.butterfly * kRadix1 * kColumns + pair.column, shared_.unpack[pair.column],
                          rank == 0 && pair.butterfly == 0,
                          pair.butterfly == pair.mirrored_butterfly && pair.column == pair.mirrored_column});
    });
  }

  template <int Sign>
  static FREQOPS_HOST_DEVICE void transform(Value (&v)[kRadix1], Value (&mirrored)[kRadix1]) {
    Dft<kRadix1, Sign>::run(v);
    Dft<kRadix1, Sign>::run(mirrored);
  }
  static FREQOPS_HOST_DEVICE void read(Value (&v)[kRadix1], const Value* base) {
    static_for<kRadix1>([&](auto j) { v[j] = base[j * kPitch]; });
  }
  static FREQOPS_HOST_DEVICE void write(const Value (&v)[kRadix1], Value* base) {
    static_for<kRadix1>([&](auto j) { base[j * kPitch] = v[j]; });
  }

  // The response, inverse transforms, and back into shared memory.
  static FREQOPS_HOST_DEVICE void apply_and_return(Value (&v)[kRadix1], Value (&mirrored)[kRadix1],
                                                   const GainPair<Gain>* gain, const Butterflies& butterflies) {
    if (butterflies.rotated) {
      apply_gains<true>(v, mirrored, gain, butterflies.unpack);
    } else {
      apply_gains<false>(v, mirrored, gain, butterflies.unpack);
    }
    transform<1>(v, mirrored);
    write(v, butterflies.base);
    if (!butterflies.same) write(mirrored, butterflies.mirrored_base);
  }
  // The element that has -kh lies from the other end, in butterfly 0 of block 0 one further
  // (Plan::pair).
  template <bool Rotated>
  static FREQOPS_HOST_DEVICE void apply_gains(Value (&v)[kRadix1], Value (&mirrored)[kRadix1],
                                              const GainPair<Gain>* gain, Value unpack) {
    static_for<kRadix1>([&](auto j) {
      constexpr int kMirrored = Rotated ? (kRadix1 - j) % kRadix1 : kRadix1 - 1 - j;
      filter_bins(v[j], mirrored[kMirrored], gain[j * kColumns], unpack);
    });
  }

  FREQOPS_HOST_DEVICE const GainPair<Gain>* gains(int r) const {
    const int64_t response = int64_t{Plan::kTableLines} * kColumns * arguments_.batch.channels;
    return arguments_.table + r * response + shared_.first_entry;
  }

  template <class Phases>
  FREQOPS_HOST_DEVICE void transform_and_apply_response(const Phases& phases, int thread, int rank) {
    for_each_pair(phases, thread, rank, [&](int, const Butterflies& butterflies) {
      Value v[kRadix1], mirrored[kRadix1];
      read(v, butterflies.base);
      read(mirrored, butterflies.mirrored_base);
      transform<-1>(v, mirrored);
      apply_and_return(v, mirrored, gains(0) + butterflies.entry, butterflies);
    });
  }

  // The same in two steps. Each thread finds in the work memory what it left there itself, so no
  // barrier is needed for it, and neighbours lie side by side.
  FREQOPS_HOST_DEVICE Value* kept(int task) {
    return shared_.work + task / kThreads * (2 * kRadix1 * kThreads) + task % kThreads;
  }
  template <class Phases>
  FREQOPS_HOST_DEVICE void keep_spectrum(const Phases& phases, int thread, int rank) {
    for_each_pair(phases, thread, rank, [&](int task, const Butterflies& butterflies) {
      Value* place = kept(task);
      Value v[kRadix1], mirrored[kRadix1];
      read(v, butterflies.base);
      read(mirrored, butterflies.mirrored_base);
      transform<-1>(v, mirrored);
      static_for<kRadix1>([&](auto j) {
        place[j * kThreads] = v[j];
        place[(kRadix1 + j) * kThreads] = mirrored[j];
      });
    });
  }
  template <class Phases>
  FREQOPS_HOST_DEVICE void apply_response(const Phases& phases, int thread, int rank, int r) {
    for_each_pair(phases, thread, rank, [&](int task, const Butterflies& butterflies) {
      const Value* place = kept(task);
      Value v[kRadix1], mirrored[kRadix1];
      static_for<kRadix1>([&](auto j) {
        v[j] = place[j * kThreads];
        mirrored[j] = place[(kRadix1 + j) * kThreads];
      });
      apply_and_return(v, mirrored, gains(r) + butterflies.entry, butterflies);
    });
  }

  Shared& shared_;
  const Arguments& arguments_;
};

template <class Launcher>
bool even_odd_takes(const Launcher& launcher, int height, int width) {
  bool takes = false;
  EvenOddPlans::with(height, width, [&](auto plan) {
    using Program = EvenOddFilter<decltype(plan), float, float, false>;
    takes = launcher.template can_run<Program>(Program::kSharedBytes);
  });
  return takes;
}

template <class Launcher>
int64_t even_odd_work_bytes(const Launcher& launcher, const FilterShape& shape) {
  if (!shape.many()) return 0;
  int64_t bytes = 0;
  EvenOddPlans::with(shape.height, shape.width, [&](auto plan) {
    using Program = EvenOddFilter<decltype(plan), float, float, true>;
    bytes =
        persistent_blocks<Program>(launcher, shape.planes()) * Program::work_size() * int64_t{sizeof(Complex<float>)};
  });
  return bytes;
}

template <class Launcher, class Io>
int run_even_odd_filter(const Launcher& launcher, const FilterProblem& problem) {
  const FilterShape& shape = problem.shape;
  int error = kInvalid;
  EvenOddPlans::with(shape.height, shape.width, [&](auto plan) {
    const auto start = [&]<class Gain, bool Many>() {
      using Program = EvenOddFilter<decltype(plan), Io, Gain, Many>;
      const auto arguments = filter_arguments<Io>(problem, reinterpret_cast<const GainPair<Gain>*>(problem.table));
      const int64_t planes = arguments.batch.planes();
      // choose_plane divides in 32 bits.
      if (planes > INT_MAX || !is_aligned(problem)) return kInvalid;
      return launcher.template run<Program>(persistent_blocks<Program>(launcher, planes), Program::kSharedBytes,
                                            arguments);
    };
    if (shape.many()) {
      error = shape.complex_response ? start.template operator()<Complex<float>, true>()
                                     : start.template operator()<float, true>();
    } else {
      error = shape.complex_response ? start.template operator()<Complex<float>, false>()
                                     : start.template operator()<float, false>();
    }
  });
  return error;
}

}  // namespace freqops::cuda
