// Blurs of rows that fit two vectors, with outputs that fit one. A sum along the height then stays in registers, and the
// taps along the width pick what they read from it by shuffles, whose indices also say what stands for padding: planes of
// 14 or 28 columns are blurred without the scratch, the copies and the short loops that wider ones are worth.
#pragma once

#include "pool_task.h"

namespace freqops::cpu::FREQOPS_LEVEL {

template <class T>
using lane_index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
typedef int32_t Int32Vector __attribute__((vector_size(FREQOPS_VECTOR_BYTES)));
typedef int64_t Int64Vector __attribute__((vector_size(FREQOPS_VECTOR_BYTES)));
template <class T>
using lane_indices = std::conditional_t<sizeof(T) == 4, Int32Vector, Int64Vector>;

// Lanes by number: those of `a`, then those of `b`.
template <class T>
FREQOPS_HOST_DEVICE vector_of<T> pick(vector_of<T> a, vector_of<T> b, lane_indices<T> index) {
#if defined(__clang__)
  vector_of<T> picked;
  for (int i = 0; i < kLanes<T>; ++i) picked[i] = index[i] < kLanes<T> ? a[index[i]] : b[index[i] - kLanes<T>];
  return picked;
#else
  return __builtin_shuffle(a, b, index);
#endif
}

// Two registers of a row of n elements; with `Whole`, memory beyond its end may be read.
template <class T, bool Whole>
struct NarrowRow {
  vector_of<T> low{}, high{};
  FREQOPS_HOST_DEVICE void add(const T* row, int64_t n, T weight) {
    if (Whole || n > kLanes<T>) {
      low += weight * load(row);
      if (n > kLanes<T>) high += weight * (Whole ? load(row + kLanes<T>) : load_first(row + kLanes<T>, n - kLanes<T>));
    } else {
      low += weight * load_first(row, n);
    }
  }
};

// From the map to the output.
template <class T>
class NarrowBlur {
 public:
  // A sample that stands for zeros has no lane.
  static bool fits(const BlurAxis& h, const BlurAxis& w) {
    const auto has_zeros = [](const BlurAxis& axis) {
      return axis.mode == PaddingMode::kZeros &&
             (axis.before > 0 || (axis.outputs - 1) * axis.stride + axis.taps - axis.before > axis.size);
    };
    return FREQOPS_VECTOR_BYTES >= 32 && w.size <= 2 * kLanes<T> && w.outputs <= kLanes<T> && h.outputs > 0 &&
           !has_zeros(h) && !has_zeros(w);
  }

  NarrowBlur() = default;
  NarrowBlur(const BlurAxis& h, const BlurAxis& w, Arena<T>& arena)
      : h_(&h),
        w_(&w),
        source_h_(arena.template take_as<int32_t>((h.outputs - 1) * h.stride + h.taps)),
        lanes_(arena.template take_as<lane_indices<T>>(w.taps)),
        columns_(sources_of(w, -w.before, (w.outputs - 1) * w.stride + w.taps)) {
    if (!lanes_) return;
    for (int64_t p = 0; p < (h.outputs - 1) * h.stride + h.taps; ++p) {
      source_h_[p] = static_cast<int32_t>(source_index(p - h.before, h.size, h.mode));
    }
    for (int j = 0; j < w.taps; ++j) {
      lane_index<T> lanes[kLanes<T>] = {};
      for (int64_t q = 0; q < w.outputs; ++q) {
        lanes[q] =
            static_cast<lane_index<T>>(source_index(q * w.stride + j - w.before, w.size, w.mode) - columns_.begin);
      }
      std::memcpy(lanes_ + j, lanes, sizeof lanes);
    }
  }

  // Output rows from the rows of a map, from the first column that is read on, each `pitch` and `out_step` apart; `whole`
  // says that the map is in scratch.
  void run(const T* map, int64_t pitch, bool whole, Span outputs, const T* taps_h, const T* taps_w, T* out,
           int64_t out_step) const {
    const auto with_taps = [&](auto counts) {
      whole ? rows<true>(map, pitch, outputs, taps_h, taps_w, counts, out, out_step)
            : rows<false>(map, pitch, outputs, taps_h, taps_w, counts, out, out_step);
    };
    if (h_->taps == 3 && w_->taps == 3) return with_taps(Index<3>{});
    if (h_->taps == 4 && w_->taps == 4) return with_taps(Index<4>{});
    with_taps(nullptr);
  }

 private:
  template <bool Whole, class Taps>
  void rows(const T* map, int64_t pitch, Span outputs, const T* taps_h, const T* taps_w, Taps, T* out,
            int64_t out_step) const {
    constexpr bool kFixed = !std::is_same_v<Taps, std::nullptr_t>;
    int fixed = 0;
    if constexpr (kFixed) fixed = Taps::value;
    const int count_h = kFixed ? fixed : h_->taps, count_w = kFixed ? fixed : w_->taps;
    const int64_t n = columns_.size(), columns = w_->outputs, stride = h_->stride;
    const int32_t* source = source_h_ + outputs.begin * stride;
    for (int64_t o = outputs.begin; o < outputs.end; ++o, source += stride, out += out_step) {
      NarrowRow<T, Whole> sum;
      for (int j = 0; j < count_h; ++j) sum.add(map + source[j] * pitch, n, taps_h[j]);
      vector_of<T> result{};
      for (int j = 0; j < count_w; ++j) result += taps_w[j] * pick<T>(sum.low, sum.high, lanes_[j]);
      store_first(out, columns, result);
    }
  }

  const BlurAxis *h_ = nullptr, *w_ = nullptr;
  int32_t* source_h_ = nullptr;       // of each position of the padded height
  lane_indices<T>* lanes_ = nullptr;  // that a tap reads for each output
  Span columns_{0, 0};                // that any tap reads
};

// Back from one row of sums over outputs to a row of samples: each sample adds up the lanes that read it.
template <class T>
class NarrowSpread {
 public:
  static bool fits(const BlurPool& blur) {
    return FREQOPS_VECTOR_BYTES >= 32 && blur.w.size <= 2 * kLanes<T> && blur.w.outputs <= kLanes<T> &&
           !blur.per_channel;
  }

  NarrowSpread() = default;
  NarrowSpread(const BlurPool& blur, Arena<T>& arena) {
    const BlurAxis& w = blur.w;
    vectors_ = static_cast<int>(divide_up(w.size, kLanes<T>));
    last_ = w.size - (vectors_ - 1) * kLanes<T>;
    const auto for_each_pair = [&](auto&& visit) {
      for (int64_t q = 0; q < w.outputs; ++q) {
        for (int j = 0; j < w.taps; ++j) {
          const int64_t sample = source_index(q * w.stride + j - w.before, w.size, w.mode);
          if (sample >= 0) visit(sample, q, j);
        }
      }
    };
    int terms[2 * kLanes<T>] = {};
    for_each_pair([&](int64_t sample, int64_t, int) { terms_ = std::max(terms_, ++terms[sample]); });
    terms_table_ = arena.template take_as<Term>(terms_ * vectors_);
    if (!terms_table_) return;
    // Lanes of zeros follow those of the sums: what adds nothing reads one of them.
    lane_indices<T> zero{};
    zero += kLanes<T>;
    for (int t = 0; t < terms_ * vectors_; ++t) terms_table_[t] = {zero, vector_of<T>{}};
    for_each_pair([&](int64_t sample, int64_t q, int j) {
      Term& term = terms_table_[--terms[sample] * vectors_ + sample / kLanes<T>];
      term.lane[sample % kLanes<T>] = static_cast<lane_index<T>>(q);
      term.weight[sample % kLanes<T>] = static_cast<const T*>(blur.taps_w)[j];
    });
  }

  // Elements from one row to the next that are written whole.
  int64_t pitch() const { return vectors_ * kLanes<T>; }

  // One row of samples for each of these rows: sum_of(row) gives the sums over the outputs. Where memory beyond the end of
  // a row is not to be written, `exact` says so.
  template <class SumOf>
  FREQOPS_HOST_DEVICE void run(Span rows, SumOf&& sum_of, T* out, int64_t pitch, bool exact) const {
    const auto with = [&](auto vectors, auto terms) FREQOPS_INLINED {
      exact ? spread<true>(rows, sum_of, out, pitch, vectors, terms)
            : spread<false>(rows, sum_of, out, pitch, vectors, terms);
    };
    // What a term reads and weighs stays in registers for the common numbers of them.
    if (vectors_ == 2 && terms_ == 2) return with(Index<2>{}, Index<2>{});
    if (vectors_ == 2 && terms_ == 3) return with(Index<2>{}, Index<3>{});
    if (vectors_ == 1 && terms_ == 2) return with(Index<1>{}, Index<2>{});
    if (vectors_ == 1 && terms_ == 3) return with(Index<1>{}, Index<3>{});
    vectors_ == 2 ? with(Index<2>{}, terms_) : with(Index<1>{}, terms_);
  }

 private:
  // What each sample of a vector of them adds.
  struct Term {
    lane_indices<T> lane;
    vector_of<T> weight;
  };
  template <bool Exact, class SumOf, class Vectors, class Terms>
  FREQOPS_HOST_DEVICE void spread(Span rows, SumOf&& sum_of, T* out, int64_t pitch, Vectors vectors,
                                  Terms terms) const {
    const Term* table = terms_table_;
    const int64_t last = last_;
    for (int64_t row = rows.begin; row < rows.end; ++row, out += pitch) {
      const vector_of<T> sums = sum_of(row);
      for (int v = 0; v < vectors; ++v) {
        vector_of<T> result{};
        for (int t = 0; t < terms; ++t) {
          const Term& term = table[t * vectors + v];
          result += term.weight * pick<T>(sums, vector_of<T>{}, term.lane);
        }
        if (Exact && v == vectors - 1) {
          store_first(out + v * kLanes<T>, last, result);
        } else {
          store(out + v * kLanes<T>, result);
        }
      }
    }
  }
  int64_t last_ = 0;  // samples of the last vector
  int vectors_ = 1, terms_ = 0;
  Term* terms_table_ = nullptr;  // [terms][vectors]
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
