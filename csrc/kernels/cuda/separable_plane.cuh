// The plane form of separable maps. A block reads the matrices once; then for every round, which is one or several planes,
// it
//
//   stages   them in shared memory, folded along both axes (separable_axis.h)
//   applies  the first axis: four lines of a tile's pairs to a thread, 32 sums
//   applies  the second: four columns of a tile's pairs to a thread
//   stores   the results, which lie in shared memory as they do in memory
//
// A line of the second axis' sample n of plane u is number n * units + u.
#pragma once

#include "filter_arguments.h"
#include "separable_plan.h"

namespace freqops::cuda {

template <class T>
class SeparablePlaneWork {
 public:
  using Value = value_of<T>;
  using Arguments = SeparablePlaneArguments<Value>;

  FREQOPS_HOST_DEVICE SeparablePlaneWork(const Arguments& arguments, unsigned char* shared)
      : a_(arguments), shared_(reinterpret_cast<Value*>(shared)) {}

  FREQOPS_HOST_DEVICE void list_weights(int thread) const {
    list_weights(a_.first, shared_, true, thread);
    list_weights(a_.second, shared_ + a_.second_weights_at, false, thread);
  }

  // --- stages -----------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void stage(int64_t round, int thread) const {
    if constexpr (!std::is_same_v<T, double>) {
      if (a_.vector == 4) return stage_vectors<4>(round, thread);
      if (a_.vector == 2) return stage_vectors<2>(round, thread);
    }
    stage_vectors<1>(round, thread);
  }

  // --- axes -------------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void apply_first(int thread) const {
    const SeparableAxis<Value>& axis = a_.first;
    const int lines = a_.second.size * a_.units, quarter = (lines + 3) / 4, tasks = quarter * axis.tiles;
    FREQOPS_ONE_TURN
    for (int task = thread; task < tasks; task += kSeparableThreads) {
      const int line = a_.by_first_tiles.quotient(task), tile = task - line * axis.tiles;
      const Value* from[4];
      static_for<4>([&](auto i) {
        const int at = line + i * quarter;
        from[i] = shared_ + a_.staged_at + (at < lines ? at : line) * a_.staged_step;
      });
      const auto* weights = reinterpret_cast<const Four<Value>*>(shared_) + tile * axis.weights_step();
      Value p[4][kTilePairs] = {}, q[4][kTilePairs] = {};
      add_along(p, from, weights, axis.even);
      static_for<4>([&](auto i) { from[i] += axis.odd_at(); });
      add_along(q, from, weights + axis.even, axis.odd);
      finish_pairs(axis.mirrored, p, q);
      const PairPlaces places(axis, tile, 1);
      static_for<4>([&](auto i) FREQOPS_INLINED {
        const int at = line + i * quarter;
        if (at >= lines) return;
        const int row = a_.by_units.quotient(at), unit = at - row * a_.units;
        places.write(shared_ + a_.passed_at + row * a_.passed_step + unit * axis.results, p[i], q[i]);
      });
    }
  }

  FREQOPS_HOST_DEVICE void apply_second(int thread) const {
    const SeparableAxis<Value>& axis = a_.second;
    const int columns = a_.first.results * a_.units, tasks = a_.fours * axis.tiles;
    FREQOPS_ONE_TURN
    for (int task = thread; task < tasks; task += kSeparableThreads) {
      const int tile = a_.by_fours.quotient(task), column = (task - tile * a_.fours) * 4;
      const Value* from = shared_ + a_.passed_at + column;
      const auto* weights =
          reinterpret_cast<const Four<Value>*>(shared_ + a_.second_weights_at) + tile * axis.weights_step();
      const int odd_lines = axis.mirrored ? (axis.size - 1) / 2 : axis.size, odd_from = axis.mirrored ? 1 : 0;
      Value p[4][kTilePairs] = {}, q[4][kTilePairs] = {};
      add_across(p, from, weights, axis.unpaired());
      // o[0] = 0 has no line.
      add_across(q, from + (axis.mirrored ? axis.unpaired() * a_.passed_step : 0),
                 weights + axis.even + odd_from, odd_lines);
      finish_pairs(axis.mirrored, p, q);
      const PairPlaces places(axis, tile, a_.result_second);
      static_for<4>([&](auto i) FREQOPS_INLINED {
        if (column + i >= columns) return;
        const int unit = a_.by_first_results.quotient(column + i), place = column + i - unit * a_.first.results;
        places.write(shared_ + a_.staged_at + unit * a_.result_unit + place * a_.result_first, p[i], q[i]);
      });
    }
  }

  // --- stores -----------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void store(int64_t round, int thread) const {
    const Place place(a_, round);
    T* y = static_cast<T*>(a_.y.data) + place.image * a_.y.image + int64_t{place.unit} * a_.y.unit;
    const int count = place.units * a_.first.outputs * a_.second.outputs;
    if (a_.whole) {
      store_whole(y, count, thread);
    } else {
      store_one_by_one(y, place.units, thread);
    }
  }

 private:
  // Of a round.
  struct Place {
    int64_t image;
    int unit, units;
    FREQOPS_HOST_DEVICE Place(const Arguments& a, int64_t round) {
      const auto number = static_cast<unsigned>(round), groups = static_cast<unsigned>(a.groups);
      image = number / groups;
      unit = static_cast<int>(number % groups) * a.units;
      units = a.channels - unit < a.units ? a.channels - unit : a.units;
    }
  };

  // Of a sample or a result: along the first axis to be applied, along the second one.
  struct Coordinates {
    int first, second, unit;
    FREQOPS_HOST_DEVICE Coordinates(SeparableLanes lanes, const Divisor& by_inner, const Divisor& by_outer, int index) {
      const int rest = by_inner.quotient(index), inner = index - rest * by_inner.divisor;
      const int outer = by_outer.quotient(rest), middle = rest - outer * by_outer.divisor;
      unit = lanes == SeparableLanes::kUnits ? inner : outer;
      first = lanes == SeparableLanes::kFirst ? inner : middle;
      second = lanes == SeparableLanes::kFirst ? middle : lanes == SeparableLanes::kSecond ? inner : outer;
    }
  };

  // Where the outputs of a tile's pairs go.
  struct PairPlaces {
    int one[kTilePairs], other[kTilePairs];  // -1: nowhere
    FREQOPS_HOST_DEVICE PairPlaces(const SeparableAxis<Value>& axis, int tile, int step) {
      static_for<kTilePairs>([&](auto k) {
        const int pair = tile + k * axis.tiles, first = axis.first_output(pair), second = axis.second_output(pair);
        one[k] = first < 0 ? -1 : first * step;
        other[k] = second < 0 ? -1 : second * step;
      });
    }
    FREQOPS_HOST_DEVICE void write(Value* to, const Value (&p)[kTilePairs], const Value (&q)[kTilePairs]) const {
      static_for<kTilePairs>([&](auto k) FREQOPS_INLINED {
        if (one[k] >= 0) to[one[k]] = p[k];
        if (other[k] >= 0) to[other[k]] = q[k];
      });
    }
  };

  static FREQOPS_HOST_DEVICE void list_weights(const SeparableAxis<Value>& axis, Value* to, bool doubled, int thread) {
    const int count = axis.even + axis.odd, width = axis.tiles * kTilePairs;
    // Neighbouring threads read neighbours in a row of the matrix.
    int place = 0, n = thread;
    FREQOPS_ONE_TURN
    while (true) {
      for (; n >= count && place < width; ++place) n -= count;
      if (place >= width) return;
      const int tile = static_cast<int>(static_cast<unsigned>(place) / kTilePairs), k = place - tile * kTilePairs;
      const bool odd = n >= axis.even;
      const Value weight = axis.weight(odd ? 1 : 0, tile + k * axis.tiles, odd ? n - axis.even : n);
      const bool middle = doubled && axis.mirrored && 2 * n == axis.size;
      to[(tile * axis.weights_step() + n) * kTilePairs + k] = middle && !odd ? weight / 2 : weight;
      n += kSeparableThreads;
    }
  }

  template <int Count>
  FREQOPS_HOST_DEVICE void stage_vectors(int64_t round, int thread) const {
    const Place place(a_, round);
    const T* x = static_cast<const T*>(a_.x.data) + place.image * a_.x.image + int64_t{place.unit} * a_.x.unit;
    const int count = a_.first.even / Count * a_.second.unpaired() * a_.units;
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kSeparableThreads) {
      const Coordinates at(a_.lanes, a_.stage_inner, a_.stage_outer, i);
      if (at.unit < place.units) stage_quads<Count>(x + at.unit * a_.x.unit, at);
    }
  }

  // Samples c, c + 1, ... of a line and what they are paired with; zeros behind the line.
  template <int Count>
  struct Samples {
    Value own[Count], paired[Count];

    // Of what is not used, anything in the line: weights 0 go with it. The sample in the middle is paired with itself.
    FREQOPS_HOST_DEVICE Samples(const T* line, int step, int c, int size, bool mirrored) {
      static_for<Count>([&](auto i) { own[i] = paired[i] = 0; });
      if (c >= size) return;
      if constexpr (Count == 1) {
        own[0] = to_float(load_element(line + c * step));
        if (mirrored && c > 0) paired[0] = to_float(load_element(line + (size - c) * step));
      } else {
        widen(load_aligned<T, Count>(line + c), own);
        if (!mirrored) return;
        Value backwards[Count];
        widen(load_aligned<T, Count>(line + size - c - Count), backwards);
        static_for<Count - 1>([&](auto i) { paired[i + 1] = backwards[Count - 1 - i]; });
        if (c > 0) paired[0] = to_float(load_element(line + size - c));
      }
    }
  };

  // Of one line or of two that are paired.
  template <int Count>
  FREQOPS_HOST_DEVICE void stage_quads(const T* x, const Coordinates& at) const {
    const SeparableAxis<Value>& axis = a_.first;
    const int c = at.first * Count, other = a_.second.partner(at.second);
    Samples<Count> samples(x + at.second * a_.x.second, a_.x.first, c, axis.size, axis.mirrored);
    Value* line = shared_ + a_.staged_at + (at.second * a_.units + at.unit) * a_.staged_step + c;
    if (other >= 0) {
      const Samples<Count> paired(x + other * a_.x.second, a_.x.first, c, axis.size, axis.mirrored);
      Samples<Count> differences = samples;
      static_for<Count>([&](auto i) {
        differences.own[i] -= paired.own[i];
        differences.paired[i] -= paired.paired[i];
        samples.own[i] += paired.own[i];
        samples.paired[i] += paired.paired[i];
      });
      write_folded(line + (a_.second.unpaired() - 1) * a_.units * a_.staged_step, differences, c);
    }
    write_folded(line, samples, c);
  }
  template <int Count>
  FREQOPS_HOST_DEVICE void write_folded(Value* line, const Samples<Count>& samples, int c) const {
    struct alignas(Count * sizeof(Value)) Several {
      Value at[Count];
    } even, odd;
    static_for<Count>([&](auto i) {
      even.at[i] = samples.own[i] + samples.paired[i];
      odd.at[i] = samples.own[i] - samples.paired[i];
    });
    *reinterpret_cast<Several*>(line) = even;
    if (a_.first.mirrored && c < a_.first.odd) *reinterpret_cast<Several*>(line + a_.first.even) = odd;
  }

  // sums[i][k] += sum over n < count of line n's column i times weights[n][k].
  FREQOPS_HOST_DEVICE void add_across(Value (&sums)[4][kTilePairs], const Value* from, const Four<Value>* weights,
                                      int count) const {
    const int step = a_.passed_step;
#if defined(__CUDA_ARCH__)
#pragma unroll 4
#endif
    for (int n = 0; n < count; ++n) {
      const auto samples = *reinterpret_cast<const Four<Value>*>(from);
      const Four<Value> weight = weights[n];
      static_for<4>([&](auto i) {
        static_for<kTilePairs>([&](auto k) { sums[i][k] += samples.at[i] * weight.at[k]; });
      });
      from += step;
    }
  }

  FREQOPS_HOST_DEVICE void store_whole(T* y, int count, int thread) const {
    const Value* results = shared_ + a_.staged_at;
    constexpr int kStored = kVectorElements<T>;
    int stored = 0;
    if constexpr (!std::is_same_v<T, double>) {
      if (is_aligned_to<kVectorBytes>(y)) {
        stored = count / kStored * kStored;
        for (int i = thread * kStored; i < stored; i += kSeparableThreads * kStored) {
          float values[kStored];
          static_for<kStored / 4>([&](auto j) {
            const auto four = *reinterpret_cast<const Four<Value>*>(results + i + 4 * j);
            static_for<4>([&](auto k) { values[4 * j + k] = four.at[k]; });
          });
          store_aligned<T>(y + i, values);
        }
      }
    }
    for (int i = stored + thread; i < count; i += kSeparableThreads) store_value(y + i, results[i]);
  }

  FREQOPS_HOST_DEVICE void store_one_by_one(T* y, int units, int thread) const {
    const int first = a_.first.outputs, second = a_.second.outputs;
    const int count = (a_.lanes == SeparableLanes::kUnits ? a_.units : units) * first * second;
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kSeparableThreads) {
      const Coordinates at(a_.lanes, a_.store_inner, a_.store_outer, i);
      if (at.unit >= units) continue;
      const Value* results = shared_ + a_.staged_at + at.unit * a_.result_unit;
      Value value = results[at.first * a_.result_first + at.second * a_.result_second];
      if (a_.p_first) {
        const Value sum = results[first * a_.result_first + second * a_.result_second];
        value += sum * load_element(a_.p_first + at.first) * load_element(a_.p_second + at.second);
      }
      store_value(y + at.unit * a_.y.unit + at.first * a_.y.first + at.second * a_.y.second, value);
    }
  }

  const Arguments& a_;
  Value* shared_;
};

template <class T>
struct SeparablePlane {
  static constexpr int kThreads = kSeparableThreads, kBlocksPerSm = sizeof(value_of<T>) > 4 ? 3 : 4, kSharedBytes = 0,
                       kClusterBlocks = 1;
  using Arguments = SeparablePlaneArguments<value_of<T>>;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    const SeparablePlaneWork<T> work(arguments, phases.own_shared());
    phases.run([&](int thread) { work.list_weights(thread); });
    FREQOPS_ONE_TURN
    for (int64_t round = index; round < arguments.rounds; round += count) {
      phases.run([&](int thread) { work.stage(round, thread); });
      phases.run([&](int thread) { work.apply_first(thread); });
      phases.run([&](int thread) { work.apply_second(thread); });
      phases.run([&](int thread) { work.store(round, thread); });
    }
  }
};

template <class T, class Launcher>
int run_separable_planes(const Launcher& launcher, const SeparablePlanePlan<value_of<T>>& plan) {
  using Program = SeparablePlane<T>;
  return launcher.template run<Program>(persistent_blocks<Program>(launcher, plan.rounds()),
                                        static_cast<int>(plan.shared_bytes()), plan.arguments());
}

}  // namespace freqops::cuda
