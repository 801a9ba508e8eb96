// The form of separable maps that multiplies with matrix instructions, for half types. Products are of bfloat16 and summed
// in float32. Matrices, what is between the axes and the samples of float16 images are sums of two bfloat16, hi + lo, with
// 16 bits together; hi hi + hi lo + lo hi leaves out 2^-18, so that a result is as near as one summed in float32 and
// rounded once. (float16 operands would not do: matrices and sums may be out of their range.)
//
// A warp applies both axes to 16 columns of outputs and all lines, 16 lines at a time:
//
//   between[16 columns][16 lines] = columns matrix [16][W]  x  staged lines [W][16]
//   sums[up to 64 rows][16 columns] += rows matrix [64][16 lines]  x  between, transposed
//
// The second product reads as its right operand just what the same lane has of the first one's result, so nothing of it
// goes through memory.
#pragma once

#include "separable_rounds.cuh"
#include "warps.h"

namespace freqops::cuda {

template <class T>
class SeparableWarpWork {
 public:
  using Arguments = SeparableWarpArguments;
  static constexpr bool kSplit = std::is_same_v<T, Half>;

  FREQOPS_HOST_DEVICE SeparableWarpWork(const Arguments& arguments, unsigned char* shared)
      : a_(arguments), shared_(reinterpret_cast<uint32_t*>(shared)) {}

  // Matrices in the order in which lanes read them; zeros where no sample will be.
  FREQOPS_HOST_DEVICE void list(int thread) const {
    list_fragments(a_.first, a_.first_fragments, a_.first_steps, shared_, thread);
    list_fragments(a_.second, a_.second_fragments, a_.second_steps, shared_ + a_.second_weights_at, thread);
    FREQOPS_ONE_TURN
    for (int i = a_.staged_at + thread; i < a_.results_at; i += kSeparableThreads) shared_[i] = 0;
  }

  FREQOPS_HOST_DEVICE void stage(int64_t round, int thread) const {
    if (a_.vector == 8) {
      stage_vectors<8>(round, thread);
    } else if (a_.vector == 4) {
      stage_vectors<4>(round, thread);
    } else if (a_.vector == 2) {
      stage_vectors<2>(round, thread);
    } else {
      stage_vectors<1>(round, thread);
    }
  }

  template <class Warp>
  FREQOPS_HOST_DEVICE void multiply(const Warp& warp) const {
    const int tasks = a_.tasks();
    FREQOPS_ONE_TURN
    for (int task = warp.index(); task < tasks; task += kSeparableWarps) {
      const int rest = a_.by_first_fragments.quotient(task), column = task - rest * a_.first_fragments;
      const int unit = a_.by_tile_groups.quotient(rest), first_tile = (rest - unit * a_.tile_groups) * kWarpTiles;
      Sums<Warp> sums[kWarpTiles][2];
      static_for<kWarpTiles>([&](auto tile) { static_for<2>([&](auto half) { clear(warp, sums[tile][half]); }); });
      Pointer<Warp> left, lines;
      warp.each([&](int lane) {
        left[lane] = shared_ + a_.second_weights_at + first_tile * a_.second_steps * 2 * kFragmentWords + lane * 4;
        lines[lane] = shared_ + a_.staged_at + (unit * a_.staged_lines() + lane / 4) * a_.staged_step + lane % 4;
      });
      const int tiles = a_.second_fragments - first_tile;
      FREQOPS_ONE_TURN
      for (int step = 0; step < a_.second_steps; ++step) {
        Sums<Warp> between[2];
        apply_first(warp, column, lines, between);
        Right<Warp> high[2], low[2];
        static_for<2>([&](auto half) { split(warp, between, half, high[half], low[half]); });
        static_for<kWarpTiles>([&](auto tile) FREQOPS_INLINED {
          if (tile >= tiles) return;
          Left<Warp> left_high, left_low;
          load(warp, left, tile * a_.second_steps * 2 * kFragmentWords, left_high, left_low);
          static_for<2>([&](auto half) {
            Warp::multiply(sums[tile][half], left_high, high[half]);
            Warp::multiply(sums[tile][half], left_low, high[half]);
            Warp::multiply(sums[tile][half], left_high, low[half]);
          });
        });
        warp.each([&](int lane) {
          left[lane] += 2 * kFragmentWords;
          lines[lane] += kFragmentSamples * a_.staged_step;
        });
      }
      write(warp, unit, column, first_tile, sums);
    }
  }

  FREQOPS_HOST_DEVICE SeparableStore<T, Arguments> results() const {
    return {a_, reinterpret_cast<const float*>(shared_) + a_.results_at};
  }

 private:
  template <class Warp>
  using Sums = typename Warp::template Each<LaneValues<float, 4>>;
  template <class Warp>
  using Left = typename Warp::template Each<LaneValues<uint32_t, 4>>;
  template <class Warp>
  using Pointer = typename Warp::template Each<const uint32_t*>;
  template <class Warp>
  using Right = typename Warp::template Each<LaneValues<uint32_t, 2>>;

  // Two bfloat16, and what is left of the values: hi and lo.
  static FREQOPS_HOST_DEVICE void split_pair(float first, float second, uint32_t& high, uint32_t& low) {
    high = rounded_bits<BFloat16>(first, second);
    low = rounded_bits<BFloat16>(first - value_in<BFloat16, 0>(high), second - value_in<BFloat16, 1>(high));
  }

  // Of a left operand lane l has rows l / 4 and 8 below, samples 2 (l % 4), the next one, and 8 behind.
  static FREQOPS_HOST_DEVICE void list_fragments(const SeparableAxis<float>& axis, int fragments, int steps,
                                                 uint32_t* to, int thread) {
    FREQOPS_ONE_TURN
    for (int i = thread; i < fragments * steps * kFragmentWords; i += kSeparableThreads) {
      const int number = i / kFragmentWords, word = i % kFragmentWords, lane = word / 4, place = word % 4;
      const int fragment = number / steps, step = number - fragment * steps;
      const int row = fragment * kFragmentRows + lane / 4 + place % 2 * 8;
      const int n = step * kFragmentSamples + lane % 4 * 2 + place / 2 * 8;
      uint32_t* const pair = to + 2 * number * kFragmentWords + word;
      split_pair(axis.at(row, n), axis.at(row, n + 1), pair[0], pair[kFragmentWords]);
    }
  }

  template <int Count>
  FREQOPS_HOST_DEVICE void stage_vectors(int64_t round, int thread) const {
    const SeparablePlace place(a_, round);
    const T* x = static_cast<const T*>(a_.x.data) + place.image * a_.x.image + int64_t{place.unit} * a_.x.unit;
    const int vectors = (a_.first.size + Count - 1) / Count, count = vectors * a_.second.size * a_.units;
    // Several loads are on their way before the first is waited for.
    constexpr int kTogether = 4;
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kTogether * kSeparableThreads) {
      Packed<T, Count> elements[kTogether];
      int to[kTogether];
      static_for<kTogether>([&](auto j) FREQOPS_INLINED {
        const int index = i + j * kSeparableThreads;
        const SeparableCoordinates at(a_.lanes, a_.stage_inner, a_.stage_outer, index);
        to[j] = -1;
        elements[j] = zeros<T, Count>();
        if (index >= count || at.unit >= place.units) return;
        const T* from = x + (at.unit * a_.x.unit + at.second * a_.x.second + at.first * Count * a_.x.first);
        const int line = a_.staged_at + (at.unit * a_.staged_lines() + at.second) * a_.staged_step;
        to[j] = 2 * line + at.first * Count;
        if constexpr (Count == 1) {
          elements[j] = pack<T, 1>([&](auto) { return load_element(from); });
        } else {
          elements[j] = load_aligned<T, Count>(from);
        }
      });
      static_for<kTogether>([&](auto j) FREQOPS_INLINED {
        if (to[j] < 0) return;
        if constexpr (Count == 1) {
          stage_one(element_in<T, 0>(elements[j].words[0]), to[j]);
        } else {
          stage_several(elements[j], shared_ + to[j] / 2);
        }
      });
    }
  }
  // At a place that counts half words.
  FREQOPS_HOST_DEVICE void stage_one(T element, int at) const {
    auto* halves = reinterpret_cast<BFloat16*>(shared_) + at;
    if constexpr (kSplit) {
      uint32_t high, low;
      split_pair(to_float(element), 0, high, low);
      halves[0] = element_in<BFloat16, 0>(high);
      halves[2 * a_.low_at] = element_in<BFloat16, 0>(low);
    } else {
      halves[0] = element;
    }
  }
  template <int Count>
  FREQOPS_HOST_DEVICE void stage_several(const Packed<T, Count>& elements, uint32_t* to) const {
    uint32_t high[Count / 2];
    [[maybe_unused]] uint32_t low[Count / 2];
    static_for<Count / 2>([&](auto i) {
      if constexpr (kSplit) {
        split_pair(value_in<T, 0>(elements.words[i]), value_in<T, 1>(elements.words[i]), high[i], low[i]);
      } else {
        high[i] = elements.words[i];
      }
    });
    write_shared(to, high);
    if constexpr (kSplit) write_shared(to + a_.low_at, low);
  }

  template <class Warp>
  static FREQOPS_HOST_DEVICE void clear(const Warp& warp, Sums<Warp>& sums) {
    warp.each([&](int lane) { static_for<4>([&](auto i) { sums[lane].at[i] = 0; }); });
  }
  template <class Warp>
  static FREQOPS_HOST_DEVICE void load(const Warp& warp, const Pointer<Warp>& from, int at, Left<Warp>& high,
                                       Left<Warp>& low) {
    warp.each([&](int lane) {
      high[lane] = *reinterpret_cast<const LaneValues<uint32_t, 4>*>(from[lane] + at);
      low[lane] = *reinterpret_cast<const LaneValues<uint32_t, 4>*>(from[lane] + at + kFragmentWords);
    });
  }

  // 16 columns of 16 lines: of each, lane l has outputs l / 4 and 8 behind of lines 2 (l % 4) and the next one.
  template <class Warp>
  FREQOPS_HOST_DEVICE void apply_first(const Warp& warp, int column, const Pointer<Warp>& lines,
                                       Sums<Warp> (&between)[2]) const {
    static_for<2>([&](auto part) { clear(warp, between[part]); });
    Pointer<Warp> left, from[2];
    warp.each([&](int lane) {
      left[lane] = shared_ + column * a_.first_steps * 2 * kFragmentWords + lane * 4;
      static_for<2>([&](auto part) { from[part][lane] = lines[lane] + part * 8 * a_.staged_step; });
    });
    FREQOPS_ONE_TURN
    for (int k = 0; k < a_.first_steps; ++k) {
      Left<Warp> left_high, left_low;
      load(warp, left, 0, left_high, left_low);
      static_for<2>([&](auto part) FREQOPS_INLINED {
        Right<Warp> right;
        read_lines(warp, from[part], 0, right);
        Warp::multiply(between[part], left_high, right);
        Warp::multiply(between[part], left_low, right);
        if constexpr (kSplit) {
          read_lines(warp, from[part], a_.low_at, right);
          Warp::multiply(between[part], left_high, right);
        }
        warp.each([&](int lane) { from[part][lane] += kFragmentSamples / 2; });
      });
      warp.each([&](int lane) { left[lane] += 2 * kFragmentWords; });
    }
  }
  template <class Warp>
  static FREQOPS_HOST_DEVICE void read_lines(const Warp& warp, const Pointer<Warp>& from, int at, Right<Warp>& right) {
    warp.each([&](int lane) { right[lane] = {{from[lane][at], from[lane][at + 4]}}; });
  }
  // Eight of the columns (the first ones, or those 8 behind) as right operands.
  template <class Warp, class Half>
  static FREQOPS_HOST_DEVICE void split(const Warp& warp, const Sums<Warp> (&between)[2], Half half, Right<Warp>& high,
                                        Right<Warp>& low) {
    warp.each([&](int lane) {
      static_for<2>([&](auto part) {
        const LaneValues<float, 4>& sums = between[part][lane];
        split_pair(sums.at[2 * half], sums.at[2 * half + 1], high[lane].at[part], low[lane].at[part]);
      });
    });
  }

  template <class Warp>
  FREQOPS_HOST_DEVICE void write(const Warp& warp, int unit, int column, int first_tile,
                                 const Sums<Warp> (&sums)[kWarpTiles][2]) const {
    const int rows = a_.second.results - first_tile * kFragmentRows, places = a_.first.results - column * kFragmentRows;
    float* results = reinterpret_cast<float*>(shared_) + a_.results_at + unit * a_.result_unit +
                     first_tile * kFragmentRows * a_.result_second + column * kFragmentRows * a_.result_first;
    warp.each([&](int lane) {
      float* to = results + lane / 4 * a_.result_second + lane % 4 * 2 * a_.result_first;
      static_for<2 * kWarpTiles>([&](auto eight) FREQOPS_INLINED {
        if (eight * 8 + lane / 4 < rows) {
          static_for<4>([&](auto i) FREQOPS_INLINED {
            constexpr int kPlace = decltype(i)::value / 2 * 8 + decltype(i)::value % 2;
            if (lane % 4 * 2 + kPlace < places) {
              to[kPlace * a_.result_first] = sums[eight / 2][i / 2][lane].at[eight % 2 * 2 + i % 2];
            }
          });
        }
        to += 8 * a_.result_second;
      });
    });
  }

  const Arguments& a_;
  uint32_t* shared_;
};

template <class T>
struct SeparableWarp {
  static constexpr int kThreads = kSeparableThreads, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = SeparableWarpArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    const SeparableWarpWork<T> work(arguments, phases.own_shared());
    phases.run([&](int thread) { work.list(thread); });
    FREQOPS_ONE_TURN
    for (int64_t round = index; round < arguments.rounds; round += count) {
      phases.run([&](int thread) { work.stage(round, thread); });
      run_warps(phases, [&](const auto& warp) { work.multiply(warp); });
      phases.run([&](int thread) { work.results().run(round, thread); });
    }
  }
};

template <class T, class Launcher>
int run_separable_warps(const Launcher& launcher, const SeparableWarpPlan& plan) {
  using Program = SeparableWarp<T>;
  return launcher.template run<Program>(persistent_blocks<Program>(launcher, plan.rounds()),
                                        static_cast<int>(plan.shared_bytes()), plan.arguments());
}

}  // namespace freqops::cuda
