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

#include "separable_rounds.cuh"

namespace freqops::cuda {

template <class T, bool Mirrored>
class SeparablePlaneWork {
 public:
  using Value = value_of<T>;
  using Arguments = SeparablePlaneArguments<Value>;

  FREQOPS_HOST_DEVICE SeparablePlaneWork(const Arguments& arguments, unsigned char* shared)
      : a_(arguments), shared_(reinterpret_cast<Value*>(shared)) {}

  // True if samples are missing from what is_halved says: then all products have to be summed.
  FREQOPS_HOST_DEVICE bool list_first(int thread) const {
    list_places(a_.first, 1, a_.first_places_at, thread);
    return list_weights(a_.first, shared_, [&](int slot) { return first_sample(slot); }, true, thread);
  }
  FREQOPS_HOST_DEVICE bool list_second(int thread) const {
    list_places(a_.second, a_.result_second, a_.second_places_at, thread);
    return list_weights(a_.second, shared_ + a_.second_weights_at, [](int slot) { return slot; }, false, thread);
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

  FREQOPS_HOST_DEVICE void apply_first(bool dense, int thread) const {
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
      if (Mirrored && !dense) add_own(p, q, from, weights, tile);
      add_along(p, from, weights, dense ? axis.even : a_.odd_slots);
      if constexpr (Mirrored) static_for<4>([&](auto i) { from[i] += axis.even; });
      add_along(q, from, weights + axis.even, dense ? axis.odd : a_.odd_slots);
      if constexpr (Mirrored) finish_pairs(p, q);
      const PairPlaces places = listed_places(a_.first_places_at)[tile];
      static_for<4>([&](auto i) FREQOPS_INLINED {
        const int at = line + i * quarter;
        if (at >= lines) return;
        const int row = a_.by_units.quotient(at), unit = at - row * a_.units;
        write_pairs(places, shared_ + a_.passed_at + row * a_.passed_step + unit * axis.results, p[i], q[i]);
      });
    }
  }

  FREQOPS_HOST_DEVICE void apply_second(bool dense, int thread) const {
    const SeparableAxis<Value>& axis = a_.second;
    const int columns = a_.first.results * a_.units, tasks = a_.fours * axis.tiles;
    FREQOPS_ONE_TURN
    for (int task = thread; task < tasks; task += kSeparableThreads) {
      const int tile = a_.by_fours.quotient(task), column = (task - tile * a_.fours) * 4;
      const Value* from = shared_ + a_.passed_at + column;
      const auto* weights =
          reinterpret_cast<const Four<Value>*>(shared_ + a_.second_weights_at) + tile * axis.weights_step();
      // o[0] = 0 has no line.
      const Value* odd_from = from + (Mirrored ? axis.unpaired() * a_.passed_step : 0);
      const Four<Value>* odd_weights = weights + axis.even + (Mirrored ? 1 : 0);
      Value p[4][kTilePairs] = {}, q[4][kTilePairs] = {};
      if (!Mirrored || dense) {
        add_across<1>(p, from, weights, axis.unpaired());
        add_across<1>(q, odd_from, odd_weights, Mirrored ? (axis.size - 1) / 2 : axis.size);
      } else {
        add_own_lines(p, q, from, weights, tile);
        add_across<2>(p, from + a_.passed_step, weights + 1, (axis.size / 2 + 1) / 2);
        add_across<2>(q, odd_from, odd_weights, axis.size / 4);
      }
      if constexpr (Mirrored) finish_pairs(p, q);
      const PairPlaces places = listed_places(a_.second_places_at)[tile];
      static_for<4>([&](auto i) FREQOPS_INLINED {
        if (column + i >= columns) return;
        const int unit = a_.by_first_results.quotient(column + i), place = column + i - unit * a_.first.results;
        write_pairs(places, shared_ + a_.staged_at + unit * a_.result_unit + place * a_.result_first, p[i], q[i]);
      });
    }
  }

  FREQOPS_HOST_DEVICE SeparableStore<T, Arguments> results() const { return {a_, shared_ + a_.staged_at}; }

 private:
  // The sample that is staged in a slot, of e as of o.
  FREQOPS_HOST_DEVICE int first_sample(int slot) const {
    const int odd = a_.odd_slots;
    return odd == 0 ? slot : slot < odd ? 2 * slot + 1 : 2 * (slot - odd);
  }

  // True if some sample of even number goes to another output than that of half the number.
  template <class SampleOf>
  static FREQOPS_HOST_DEVICE bool list_weights(const SeparableAxis<Value>& axis, Value* to, SampleOf&& sample_of,
                                               bool doubled, int thread) {
    const int count = axis.even + axis.odd, width = axis.tiles * kTilePairs;
    bool dense = !is_halved(axis);
    // Neighbouring threads read neighbours in a row of the matrix.
    int place = 0, slot = thread;
    FREQOPS_ONE_TURN
    while (true) {
      for (; slot >= count && place < width; ++place) slot -= count;
      if (place >= width) return dense;
      const int tile = static_cast<int>(static_cast<unsigned>(place) / kTilePairs), k = place - tile * kTilePairs;
      const int half = slot >= axis.even ? 1 : 0, n = sample_of(slot - half * axis.even), pair = tile + k * axis.tiles;
      const Value weight = axis.weight(half, pair, n);
      const bool middle = Mirrored && doubled && half == 0 && 2 * n == axis.size;
      to[(tile * axis.weights_step() + slot) * kTilePairs + k] = middle ? weight / 2 : weight;
      dense |= n % 2 == 0 && n != 2 * axis.first_output(pair) && weight != 0;
      slot += kSeparableThreads;
    }
  }

  FREQOPS_HOST_DEVICE PairPlaces* listed_places(int at) const { return reinterpret_cast<PairPlaces*>(shared_ + at); }
  FREQOPS_HOST_DEVICE void list_places(const SeparableAxis<Value>& axis, int step, int at, int thread) const {
    for (int tile = thread; tile < axis.tiles; tile += kSeparableThreads) {
      static_for<kTilePairs>([&](auto k) {
        const int pair = tile + k * axis.tiles, first = axis.first_output(pair), second = axis.second_output(pair);
        PairPlaces& places = listed_places(at)[tile];
        places.first[k] = first < 0 ? -1 : first * step * int{sizeof(Value)};
        places.second[k] = second < 0 ? -1 : second * step * int{sizeof(Value)};
      });
    }
  }
  static FREQOPS_HOST_DEVICE void write_pairs(const PairPlaces& places, Value* to, const Value (&p)[kTilePairs],
                                              const Value (&q)[kTilePairs]) {
    char* bytes = reinterpret_cast<char*>(to);
    static_for<kTilePairs>([&](auto k) FREQOPS_INLINED {
      if (places.first[k] >= 0) *reinterpret_cast<Value*>(bytes + places.first[k]) = p[k];
      if (places.second[k] >= 0) *reinterpret_cast<Value*>(bytes + places.second[k]) = q[k];
    });
  }

  template <int Count>
  FREQOPS_HOST_DEVICE void stage_vectors(int64_t round, int thread) const {
    const SeparablePlace place(a_, round);
    const T* x = static_cast<const T*>(a_.x.data) + place.image * a_.x.image + int64_t{place.unit} * a_.x.unit;
    const int count = a_.stage_span / Count * a_.second.unpaired() * a_.units;
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kSeparableThreads) {
      const SeparableCoordinates at(a_.lanes, a_.stage_inner, a_.stage_outer, i);
      if (at.unit < place.units) stage_quads<Count>(x, at);
    }
  }

  // Samples c, c + 1, ... of a line and what they are paired with; zeros behind the line.
  template <int Count>
  struct Samples {
    Value own[Count], paired[Count];

    // Of the line at a place of x. Of what is not used, anything in the line: weights 0 go with it. The sample in the
    // middle is paired with itself.
    FREQOPS_HOST_DEVICE Samples(const T* x, int line, int step, int c, int size) {
      static_for<Count>([&](auto i) { own[i] = paired[i] = 0; });
      if (c >= size) return;
      if constexpr (Count == 1) {
        own[0] = to_float(load_element(x + (line + c * step)));
        if (Mirrored && c > 0) paired[0] = to_float(load_element(x + (line + (size - c) * step)));
      } else {
        widen(load_aligned<T, Count>(x + (line + c)), own);
        if constexpr (!Mirrored) return;
        const T* backwards = x + (line + size - c);
        Value before[Count];
        widen(load_aligned<T, Count>(backwards - Count), before);
        static_for<Count - 1>([&](auto i) { paired[i + 1] = before[Count - 1 - i]; });
        if (c > 0) paired[0] = to_float(load_element(backwards));
      }
    }
  };

  // Of one line or of two that are paired.
  template <int Count>
  FREQOPS_HOST_DEVICE void stage_quads(const T* x, const SeparableCoordinates& at) const {
    const SeparableAxis<Value>& axis = a_.first;
    const int c = at.first * Count, other = Mirrored ? a_.second.partner(at.second) : -1;
    const int line_at = at.unit * a_.x.unit + at.second * a_.x.second;
    Samples<Count> samples(x, line_at, a_.x.first, c, axis.size);
    Value* line = shared_ + a_.staged_at + (at.second * a_.units + at.unit) * a_.staged_step;
    if (other >= 0) {
      const Samples<Count> paired(x, line_at + (other - at.second) * a_.x.second, a_.x.first, c, axis.size);
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
    Value even[Count], odd[Count];
    static_for<Count>([&](auto i) {
      even[i] = samples.own[i] + samples.paired[i];
      odd[i] = samples.own[i] - samples.paired[i];
    });
    if (Mirrored && a_.odd_slots > 0) {
      write_parities(line, c, even);
      write_parities(line + a_.first.even, c, odd);
    } else {
      write_shared(line + c, even);
      if (Mirrored && c < a_.first.odd) write_shared(line + a_.first.even + c, odd);
    }
  }
  template <int Count>
  FREQOPS_HOST_DEVICE void write_parities(Value* line, int c, const Value (&values)[Count]) const {
    if constexpr (Count == 1) {
      if (c % 2 == 0) line[a_.odd_slots + c / 2] = values[0];
      if (c % 2 != 0 && c / 2 < a_.odd_slots) line[c / 2] = values[0];
    } else {
      Value odd[Count / 2], even[Count / 2];
      static_for<Count / 2>([&](auto i) {
        even[i] = values[2 * i];
        odd[i] = values[2 * i + 1];
      });
      if (c / 2 < a_.odd_slots) write_shared(line + c / 2, odd);
      write_shared(line + a_.odd_slots + c / 2, even);
    }
  }
  // What the even samples add, of which each goes to one pair.
  FREQOPS_HOST_DEVICE void add_own(Value (&p)[4][kTilePairs], Value (&q)[4][kTilePairs], const Value* const (&lines)[4],
                                   const Four<Value>* weights, int tile) const {
    static_for<kTilePairs>([&](auto k) FREQOPS_INLINED {
      const int pair = tile + k * a_.first.tiles, slot = a_.odd_slots + pair, odd = a_.first.even + slot;
      if (2 * pair > a_.first.outputs) return;
      const Value even_weight = weights[slot].at[k], odd_weight = weights[odd].at[k];
      static_for<4>([&](auto i) {
        p[i][k] += lines[i][slot] * even_weight;
        q[i][k] += lines[i][odd] * odd_weight;
      });
    });
  }
  FREQOPS_HOST_DEVICE void add_own_lines(Value (&p)[4][kTilePairs], Value (&q)[4][kTilePairs], const Value* from,
                                         const Four<Value>* weights, int tile) const {
    const SeparableAxis<Value>& axis = a_.second;
    const auto add = [&](Value(&sums)[4][kTilePairs], auto k, const Value* at, Value weight) {
      const auto samples = *reinterpret_cast<const Four<Value>*>(at);
      static_for<4>([&](auto i) { sums[i][k] += samples.at[i] * weight; });
    };
    static_for<kTilePairs>([&](auto k) FREQOPS_INLINED {
      const int pair = tile + k * axis.tiles, n = 2 * pair;
      if (n > axis.outputs) return;
      const Value* at = from + n * a_.passed_step;
      add(p, k, at, weights[n].at[k]);
      if (axis.partner(n) >= 0) {
        add(q, k, at + (axis.unpaired() - 1) * a_.passed_step, weights[axis.even + n].at[k]);
      }
    });
  }

  // sums[i][k] += sum over n < count of line Step n's column i times weights[Step n][k].
  template <int Step>
  FREQOPS_HOST_DEVICE void add_across(Value (&sums)[4][kTilePairs], const Value* from, const Four<Value>* weights,
                                      int count) const {
    const int step = Step * a_.passed_step;
#if defined(__CUDA_ARCH__)
#pragma unroll 4
#endif
    for (int n = 0; n < count; ++n) {
      const auto samples = *reinterpret_cast<const Four<Value>*>(from);
      const Four<Value> weight = weights[Step * n];
      static_for<4>(
          [&](auto i) { static_for<kTilePairs>([&](auto k) { sums[i][k] += samples.at[i] * weight.at[k]; }); });
      from += step;
    }
  }

  const Arguments& a_;
  Value* shared_;
};

template <class T, bool Mirrored>
struct SeparablePlane {
  static constexpr int kThreads = kSeparableThreads, kBlocksPerSm = sizeof(value_of<T>) > 4 ? 3 : 4, kSharedBytes = 0,
                       kClusterBlocks = 1;
  using Arguments = SeparablePlaneArguments<value_of<T>>;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    const SeparablePlaneWork<T, Mirrored> work(arguments, phases.own_shared());
    const bool first_dense = phases.run_any([&](int thread) { return work.list_first(thread); });
    const bool second_dense = phases.run_any([&](int thread) { return work.list_second(thread); });
    FREQOPS_ONE_TURN
    for (int64_t round = index; round < arguments.rounds; round += count) {
      phases.run([&](int thread) { work.stage(round, thread); });
      phases.run([&](int thread) { work.apply_first(first_dense, thread); });
      phases.run([&](int thread) { work.apply_second(second_dense, thread); });
      phases.run([&](int thread) { work.results().run(round, thread); });
    }
  }
};

template <class T, class Launcher>
int run_separable_planes(const Launcher& launcher, const SeparablePlanePlan<value_of<T>>& plan) {
  const auto start = [&]<class Program>() {
    return launcher.template run<Program>(persistent_blocks<Program>(launcher, plan.rounds()),
                                          static_cast<int>(plan.shared_bytes()), plan.arguments());
  };
  return plan.arguments().first.mirrored ? start.template operator()<SeparablePlane<T, true>>()
                                         : start.template operator()<SeparablePlane<T, false>>();
}

}  // namespace freqops::cuda
