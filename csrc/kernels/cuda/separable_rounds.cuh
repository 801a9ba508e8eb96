// What the forms share that hold planes in shared memory: which planes a block has in a round, and how results go from
// there to memory.
#pragma once

#include "filter_arguments.h"
#include "separable_plan.h"

namespace freqops::cuda {

// Words of 16, 8 or 4 bytes to shared memory, at a multiple of their size. Said outright: the compiler makes single stores
// of what it has in a struct.
template <class Word, int Count>
FREQOPS_HOST_DEVICE void write_shared(Word* to, const Word (&words)[Count]) {
  static_assert(sizeof(Word) == 4 || Count == 1);
#if defined(__CUDA_ARCH__)
  if constexpr (Count == 1) {
    *to = words[0];
  } else {
    const auto place = static_cast<unsigned>(__cvta_generic_to_shared(to));
    uint32_t bits[Count];
    std::memcpy(bits, words, sizeof bits);
    if constexpr (Count == 4) {
      asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(place), "r"(bits[0]), "r"(bits[1]), "r"(bits[2]),
                   "r"(bits[3])
                   : "memory");
    } else {
      static_assert(Count == 2);
      asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(place), "r"(bits[0]), "r"(bits[1]) : "memory");
    }
  }
#else
  for (int i = 0; i < Count; ++i) to[i] = words[i];
#endif
}

// Units of a round.
struct SeparablePlace {
  int64_t image;
  int unit, units;
  template <class Arguments>
  FREQOPS_HOST_DEVICE SeparablePlace(const Arguments& a, int64_t round) {
    const auto number = static_cast<unsigned>(round), groups = static_cast<unsigned>(a.groups);
    image = number / groups;
    unit = static_cast<int>(number % groups) * a.units;
    units = a.channels - unit < a.units ? a.channels - unit : a.units;
  }
};

// Of a sample or a result: along the first axis to be applied, along the second one.
struct SeparableCoordinates {
  int first, second, unit;
  FREQOPS_HOST_DEVICE SeparableCoordinates(SeparableLanes lanes, const Divisor& by_inner, const Divisor& by_outer,
                                           int index) {
    const int rest = by_inner.quotient(index), inner = index - rest * by_inner.divisor;
    const int outer = by_outer.quotient(rest), middle = rest - outer * by_outer.divisor;
    unit = lanes == SeparableLanes::kUnits ? inner : outer;
    first = lanes == SeparableLanes::kFirst ? inner : middle;
    second = lanes == SeparableLanes::kFirst ? middle : lanes == SeparableLanes::kSecond ? inner : outer;
  }
};

template <class T, class Arguments>
class SeparableStore {
 public:
  using Value = value_of<T>;

  // results: [units, ...] in shared memory.
  FREQOPS_HOST_DEVICE SeparableStore(const Arguments& arguments, const Value* results)
      : a_(arguments), results_(results) {}

  FREQOPS_HOST_DEVICE void run(int64_t round, int thread) const {
    const SeparablePlace place(a_, round);
    T* y = static_cast<T*>(a_.y.data) + place.image * a_.y.image + int64_t{place.unit} * a_.y.unit;
    const int count = place.units * a_.first.outputs * a_.second.outputs;
    if (a_.whole) {
      store_whole(y, count, thread);
    } else {
      store_one_by_one(y, place.units, thread);
    }
  }

 private:
  FREQOPS_HOST_DEVICE void store_whole(T* y, int count, int thread) const {
    constexpr int kStored = kVectorElements<T>;
    int stored = 0;
    if constexpr (!std::is_same_v<T, double>) {
      if (is_aligned_to<kVectorBytes>(y)) {
        stored = count / kStored * kStored;
        for (int i = thread * kStored; i < stored; i += kSeparableThreads * kStored) {
          float values[kStored];
          static_for<kStored / 4>([&](auto j) {
            const auto four = *reinterpret_cast<const Four<Value>*>(results_ + i + 4 * j);
            static_for<4>([&](auto k) { values[4 * j + k] = four.at[k]; });
          });
          store_aligned<T>(y + i, values);
        }
      }
    }
    for (int i = stored + thread; i < count; i += kSeparableThreads) store_value(y + i, results_[i]);
  }

  FREQOPS_HOST_DEVICE void store_one_by_one(T* y, int units, int thread) const {
    const int first = a_.first.outputs, second = a_.second.outputs;
    const int count = (a_.lanes == SeparableLanes::kUnits ? a_.units : units) * first * second;
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kSeparableThreads) {
      const SeparableCoordinates at(a_.lanes, a_.store_inner, a_.store_outer, i);
      if (at.unit >= units) continue;
      const Value* results = results_ + at.unit * a_.result_unit;
      Value value = results[at.first * a_.result_first + at.second * a_.result_second];
      if (a_.p_first) {
        const Value sum = results[first * a_.result_first + second * a_.result_second];
        value += sum * load_element(a_.p_first + at.first) * load_element(a_.p_second + at.second);
      }
      store_value(y + (at.unit * a_.y.unit + at.first * a_.y.first + at.second * a_.y.second), value);
    }
  }

  const Arguments& a_;
  const Value* results_;
};

}  // namespace freqops::cuda
