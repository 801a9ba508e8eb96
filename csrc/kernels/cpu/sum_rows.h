// out = sum over j of weights[j] * rows[j], for rows of n elements: the one loop behind every pass of the blur, along
// either axis and in either memory format. It is repeated with all pointers moving on by fixed steps, so that short rows
// do not pay for its set-up each time.
#pragma once

#include "lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// What may be touched beyond the end of a row, up to a whole vector: rows of scratch are made so that both may, and a
// masked access is slower, above all a load of what a masked store has just written.
struct Beyond {
  bool read, written;
};

// Calls f(i, vector) for i = 0, kLanes, ... below n, where vector loads and stores all lanes, or the last ones of a row.
template <class T>
struct WholeVector {
  FREQOPS_HOST_DEVICE vector_of<T> load(const T* p) const { return FREQOPS_LEVEL::load(p); }
  FREQOPS_HOST_DEVICE vector_of<T> load_written(const T* p) const { return FREQOPS_LEVEL::load(p); }
  FREQOPS_HOST_DEVICE void store(T* p, vector_of<T> v) const { FREQOPS_LEVEL::store(p, v); }
};
template <class T, bool ReadBeyond, bool WriteBeyond>
struct LastLanes {
  int64_t count;
  FREQOPS_HOST_DEVICE vector_of<T> load(const T* p) const {
    return ReadBeyond ? FREQOPS_LEVEL::load(p) : load_first(p, count);
  }
  // Of the row that is written: what may not be written beyond its end may not be there at all.
  FREQOPS_HOST_DEVICE vector_of<T> load_written(const T* p) const {
    return WriteBeyond ? FREQOPS_LEVEL::load(p) : load_first(p, count);
  }
  FREQOPS_HOST_DEVICE void store(T* p, vector_of<T> v) const {
    if constexpr (WriteBeyond) {
      FREQOPS_LEVEL::store(p, v);
    } else {
      store_first(p, count, v);
    }
  }
};
template <class T, class F>
FREQOPS_HOST_DEVICE void for_each_vector(int64_t n, Beyond beyond, F&& f) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) f(i, WholeVector<T>{});
  if (i == n) return;
  if (beyond.read && beyond.written) {
    f(i, WholeVector<T>{});
  } else if (beyond.read) {
    f(i, LastLanes<T, true, false>{n - i});
  } else if (beyond.written) {
    f(i, LastLanes<T, false, true>{n - i});
  } else {
    f(i, LastLanes<T, false, false>{n - i});
  }
}

template <class T>
struct RowSum {
  T* out;
  int64_t n;         // elements of a row
  int64_t repeats;   // so many rows are summed
  int64_t out_step;  // from one of them to the next
  int64_t rows_step;
  bool weights_in_lanes;  // weights[j] holds n weights, not one
  Beyond beyond;
};

inline constexpr int kRowsAtOnce = 8;  // their weights stay in registers

template <int Count, bool Accumulate, class T>
void sum_with_broadcast(const RowSum<T>& sum, const T* const* sources, const T* const* weights) {
  vector_of<T> w[Count];
  const T* rows[Count];
#pragma GCC unroll 8
  for (int j = 0; j < Count; ++j) {
    w[j] = vector_of<T>{} + *weights[j];
    rows[j] = sources[j];
  }
  T* out = sum.out;
  const int64_t n = sum.n, repeats = sum.repeats, out_step = sum.out_step, rows_step = sum.rows_step;
  for (int64_t r = 0; r < repeats; ++r, out += out_step) {
    for_each_vector<T>(n, sum.beyond, [&](int64_t i, auto vector) FREQOPS_INLINED {
      vector_of<T> total{};
      if constexpr (Accumulate) total = vector.load_written(out + i);
#pragma GCC unroll 8
      for (int j = 0; j < Count; ++j) {
        const vector_of<T> v = vector.load(rows[j] + i);
        total = (j == 0 && !Accumulate) ? w[j] * v : total + w[j] * v;
      }
      vector.store(out + i, total);
    });
#pragma GCC unroll 8
    for (int j = 0; j < Count; ++j) rows[j] += rows_step;
  }
}

template <int Count, bool Accumulate, class T>
void sum_with_lanes(const RowSum<T>& sum, const T* const* sources, const T* const* weights) {
  for (int64_t r = 0; r < sum.repeats; ++r) {
    T* out = sum.out + r * sum.out_step;
    for (int64_t i = 0; i < sum.n; ++i) {
      T total = Accumulate ? out[i] : T(0);
      for (int j = 0; j < Count; ++j) total += weights[j][i] * sources[j][r * sum.rows_step + i];
      out[i] = total;
    }
  }
}

template <bool Accumulate, class T>
void sum_few(const RowSum<T>& sum, const T* const* rows, const T* const* weights, int count) {
  const auto run = [&](auto index) {
    if (sum.weights_in_lanes) {
      sum_with_lanes<decltype(index)::value, Accumulate>(sum, rows, weights);
    } else {
      sum_with_broadcast<decltype(index)::value, Accumulate>(sum, rows, weights);
    }
  };
  switch (count) {
    case 1:
      return run(Index<1>{});
    case 2:
      return run(Index<2>{});
    case 3:
      return run(Index<3>{});
    case 4:
      return run(Index<4>{});
    case 5:
      return run(Index<5>{});
    case 6:
      return run(Index<6>{});
    case 7:
      return run(Index<7>{});
    default:
      return run(Index<8>{});
  }
}

// Collects the terms of a sum; those beyond kRowsAtOnce are added in further passes over `out`.
template <class T>
class RowSummer {
 public:
  // Of rows of n elements, one after the other `repeats` times.
  RowSummer(T* out, int64_t n, int64_t repeats, int64_t out_step, int64_t rows_step, Beyond beyond,
            bool in_lanes = false)
      : sum_{out, n, repeats, out_step, rows_step, in_lanes, beyond} {}
  // One weight for the row, or n of them.
  void add(const T* row, const T* weight) {
    if (count_ == kRowsAtOnce) flush();
    rows_[count_] = row;
    weights_[count_++] = weight;
  }
  // Sums what was added so far: its rows may change after this.
  void flush() {
    if (count_ == 0) return;
    if (begun_) {
      RowSum<T> more = sum_;
      more.beyond.written = false;  // there the next row's sum has begun
      sum_few<true>(more, rows_, weights_, count_);
    } else {
      sum_few<false>(sum_, rows_, weights_, count_);
    }
    begun_ = true;
    count_ = 0;
  }
  void finish() {
    flush();
    for (int64_t r = 0; !begun_ && r < sum_.repeats; ++r) {
      for (int64_t i = 0; i < sum_.n; ++i) sum_.out[r * sum_.out_step + i] = 0;
    }
  }

 private:
  const RowSum<T> sum_;
  const T *rows_[kRowsAtOnce], *weights_[kRowsAtOnce];
  int count_ = 0;
  bool begun_ = false;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
