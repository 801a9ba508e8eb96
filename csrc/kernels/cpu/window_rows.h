// Windows of a maximum over rows: the maximum, which element that is, and what another image has there.
#pragma once

#include <limits>

#include "sum_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// A window of the maximum over rows of T, moved down `repeats` times; `rows` are its rows inside the plane.
template <class T>
struct Window {
  const T* const* rows;
  int first_row, count;  // the first of these rows is number first_row of the window
  int columns;
  int64_t step;  // from one column to the next
  int64_t repeats, rows_step;
  bool in_place;  // rows of the tensor
  Beyond beyond() const { return {!in_place, true}; }
};

// What is known of a window: its maximum, or which of its elements that is. Elements are taken row-major.
template <class T>
struct Maximum {
  using Vector = vector_of<T>;
  Vector best;
  static FREQOPS_HOST_DEVICE Maximum first(Vector v) { return {v}; }
  FREQOPS_HOST_DEVICE void take(Vector v, int) { best = maximum<T>(best, v); }
  FREQOPS_HOST_DEVICE void take(const Maximum& below, int) { best = maximum<T>(best, below.best); }
  FREQOPS_HOST_DEVICE Vector result(int) const { return best; }
};
// The first maximum, or the last NaN: in row-major order that is the first column of the first row to hold it.
template <class T>
struct Argmax {
  using Vector = vector_of<T>;
  Vector best, code;
  static FREQOPS_HOST_DEVICE Argmax first(Vector v) { return {v, Vector{}}; }
  FREQOPS_HOST_DEVICE void take(Vector v, int number) { take({v, Vector{}}, number); }
  // Elements that are numbered from `first` on.
  FREQOPS_HOST_DEVICE void take(const Argmax& next, int first) {
    const auto better = (next.best > best) | (next.best != next.best);
    best = better ? next.best : best;
    code = better ? next.code + T(first) : code;
  }
  FREQOPS_HOST_DEVICE Vector result(int first) const { return code + T(first); }
};

template <class Found, class T, class Columns, class Vector>
FREQOPS_HOST_DEVICE Found find_across(const T* row, Columns columns, int64_t step, Vector vector) {
  Found found = Found::first(vector.load(row));
  for (int c = 1; c < columns; ++c) found.take(vector.load(row + c * step), c);
  return found;
}

// Rows of `out` are n elements, pitch apart. Windows march down their columns: each row of theirs is looked at once, and
// kept for the windows below it that hold it.
template <class Found, class T>
void find_rows(const Window<T>& window, int64_t n, T* out, int64_t pitch) {
  const auto march = [&](auto rows, auto columns, int64_t i, auto vector) FREQOPS_INLINED {
    constexpr int kAbove = decltype(rows)::value - 1;
    Found above[kAbove];
    for (int r = 0; r < kAbove; ++r) above[r] = find_across<Found>(window.rows[r] + i, columns, window.step, vector);
    const T* row = window.rows[kAbove] + i;
    T* target = out + i;
    const int64_t repeats = window.repeats, rows_step = window.rows_step, step = window.step;
    const int first = window.first_row * columns;
    for (int64_t k = 0; k < repeats; ++k, row += rows_step, target += pitch) {
      // Down a column the hardware does not see which rows come next.
      __builtin_prefetch(row + repeats * rows_step);
      const Found last = find_across<Found>(row, columns, step, vector);
      Found found = above[0];
      for (int r = 1; r < kAbove; ++r) found.take(above[r], r * columns);
      found.take(last, kAbove * columns);
      vector.store(target, found.result(first));
      for (int r = 1; r < kAbove; ++r) above[r - 1] = above[r];
      above[kAbove - 1] = last;
    }
  };
  const auto any_shape = [&](int64_t i, auto vector) FREQOPS_INLINED {
    for (int64_t k = 0; k < window.repeats; ++k) {
      const int64_t at = k * window.rows_step + i;
      Found found = find_across<Found>(window.rows[0] + at, window.columns, window.step, vector);
      for (int r = 1; r < window.count; ++r) {
        found.take(find_across<Found>(window.rows[r] + at, window.columns, window.step, vector), r * window.columns);
      }
      vector.store(out + k * pitch + i, found.result(window.first_row * window.columns));
    }
  };
  // For the common shapes what is kept stays in registers, and loops over the window are unrolled.
  const auto with_shape = [&](auto&& f) FREQOPS_INLINED { for_each_vector<T>(n, window.beyond(), f); };
  if (window.count == 2 && window.columns == 2) {
    with_shape([&](int64_t i, auto vector) FREQOPS_INLINED { march(Index<2>{}, Index<2>{}, i, vector); });
  } else if (window.count == 3 && window.columns == 3) {
    with_shape([&](int64_t i, auto vector) FREQOPS_INLINED { march(Index<3>{}, Index<3>{}, i, vector); });
  } else {
    with_shape(any_shape);
  }
}

// The same for one window whose first `skipped` columns are outside the plane: -inf there is no candidate.
template <class T>
T argmax_at(const Window<T>& window, int64_t at, int64_t skipped) {
  T best = -std::numeric_limits<T>::infinity();
  int64_t code = -1;
  for (int r = 0; r < window.count; ++r) {
    for (int64_t c = skipped; c < window.columns; ++c) {
      const T v = window.rows[r][c * window.step + at];
      if (code < 0 || v > best || v != v) {
        best = v;
        code = (window.first_row + r) * window.columns + c;
      }
    }
  }
  return T(code);
}

// The values that stand where the codes say, for one row of windows.
template <class T>
void select_row(const Window<T>& window, const T* codes, int64_t n, T* out) {
  for_each_vector<T>(n, window.beyond(), [&](int64_t i, auto vector) FREQOPS_INLINED {
    const vector_of<T> code = vector.load(codes + i);
    vector_of<T> selected{};
    for (int r = 0; r < window.count; ++r) {
      for (int c = 0; c < window.columns; ++c) {
        const vector_of<T> its_code = vector_of<T>{} + T((window.first_row + r) * window.columns + c);
        selected = code == its_code ? vector.load(window.rows[r] + c * window.step + i) : selected;
      }
    }
    vector.store(out + i, selected);
  });
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
