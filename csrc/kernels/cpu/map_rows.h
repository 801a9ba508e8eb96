// Rows of the map that is blurred: rows of x where they can be read in place, else rows made in scratch: of half types
// widened, of the maximum, or of another image's values where x has its maximum.
#pragma once

#include <limits>

#include "pool_task.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// NaN wins, as in torch.
template <class V>
FREQOPS_HOST_DEVICE V maximum(V a, V b) {
  const V larger = a > b ? a : b;  // b where either is NaN
  return a != a ? a : larger;
}

template <class T>
FREQOPS_HOST_DEVICE vector_of<T> load_some(const T* p, int64_t count) {
  return count >= kLanes<T> ? load(p) : load_first(p, count);
}
template <class T>
FREQOPS_HOST_DEVICE void store_some(T* p, int64_t count, vector_of<T> v) {
  if (count >= kLanes<T>) {
    store(p, v);
  } else {
    store_first(p, count, v);
  }
}

// A window of the maximum over rows of scratch; `rows` are those inside the plane, the first of them its row first_row.
template <class T>
struct Window {
  const T* const* rows;
  int first_row, count;  // rows inside
  int columns;
  int64_t step;
};

// Calls f with the window's shape as constants for the common ones, else with what it says.
template <class T, class F>
FREQOPS_HOST_DEVICE void with_window_shape(const Window<T>& window, F&& f) {
  if (window.count == 2 && window.columns == 2) return f(Index<2>{}, Index<2>{});
  if (window.count == 3 && window.columns == 3) return f(Index<3>{}, Index<3>{});
  f(window.count, window.columns);
}

template <class T>
void max_row(const Window<T>& window, int64_t n, T* out) {
  with_window_shape(window, [&](auto rows, auto columns) FREQOPS_INLINED {
    for (int64_t i = 0; i < n; i += kLanes<T>) {
      vector_of<T> best = load_some(window.rows[0] + i, n - i);
      for (int d = 1; d < rows * columns; ++d) {
        best = maximum(best, load_some(window.rows[d / columns] + (d % columns) * window.step + i, n - i));
      }
      store_some(out + i, n - i, best);
    }
  });
}

// Which element of its window is the maximum, counted row-major from the window's corner: the first, or the last NaN.
template <class T>
void argmax_row(const Window<T>& window, int64_t n, T* out) {
  with_window_shape(window, [&](auto rows, auto columns) FREQOPS_INLINED {
    for (int64_t i = 0; i < n; i += kLanes<T>) {
      vector_of<T> best = load(window.rows[0] + i);
      vector_of<T> code = vector_of<T>{} + T(window.first_row * window.columns);
      for (int d = 1; d < rows * columns; ++d) {
        const vector_of<T> v = load(window.rows[d / columns] + (d % columns) * window.step + i);
        const auto better = (v > best) | (v != v);
        best = better ? v : best;
        code = better ? vector_of<T>{} + T(window.first_row * window.columns + d) : code;
      }
      store_some(out + i, n - i, code);
    }
  });
}

// The same for one window whose first `skipped` columns are outside the plane: -inf there is no candidate.
template <class T>
T argmax_at(const Window<T>& window, int64_t i, int skipped) {
  T best = -std::numeric_limits<T>::infinity();
  int code = -1;
  for (int r = 0; r < window.count; ++r) {
    for (int c = skipped; c < window.columns; ++c) {
      const T v = window.rows[r][c * window.step + i];
      if (code < 0 || v > best || v != v) {
        best = v;
        code = (window.first_row + r) * window.columns + c;
      }
    }
  }
  return T(code);
}

template <class T>
void select_row(const Window<T>& window, const T* codes, int64_t n, T* out) {
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const vector_of<T> code = load_some(codes + i, n - i);
    vector_of<T> selected{};
    for (int d = 0; d < window.count * window.columns; ++d) {
      const vector_of<T> v = load(window.rows[d / window.columns] + (d % window.columns) * window.step + i);
      selected = code == vector_of<T>{} + T(window.first_row * window.columns + d) ? v : selected;
    }
    store_some(out + i, n - i, selected);
  }
}

// Rows of scratch that are made when asked for and kept until another takes their place.
template <class T>
class RowRing {
 public:
  RowRing() = default;
  RowRing(int64_t slots, int64_t pitch, Arena<T>& arena)
      : pitch_(pitch), slots_(slots), rows_(arena.take(slots * pitch)), held_(arena.take_indices(slots)) {}
  void clear() {
    for (int64_t slot = 0; slot < slots_; ++slot) held_[slot] = -1;
  }
  template <class Make>
  T* row(int64_t slot, int64_t index, Make&& make) {
    T* row = rows_ + slot * pitch_;
    if (held_[slot] != index) {
      held_[slot] = static_cast<int32_t>(index);
      make(row);
    }
    return row;
  }

 private:
  int64_t pitch_ = 0, slots_ = 0;
  T* rows_ = nullptr;
  int32_t* held_ = nullptr;
};

// The rows of x that windows of the maximum read, with -inf beside the plane, and which element of each window it is.
template <class T>
class Windows {
 public:
  Windows(const MaxBlurPool& op, int64_t step, int64_t map_columns, bool with_values, Arena<T>& arena) : op_(op) {
    if (op.max_h.window == 1 && op.max_w.window == 1) return;
    const int64_t pitch = pitch_of<T>((map_columns + op.max_w.window - 1) * step);
    slots_ = power_of_two_from(op.max_h.window);
    x_ = RowRing<T>(slots_, pitch, arena);
    if (with_values) v_ = RowRing<T>(slots_, pitch, arena);
    codes_ = with_values ? arena.take(pitch) : nullptr;
    rows_ = reinterpret_cast<const T**>(arena.take_indices(op.max_h.window * sizeof(T*) / sizeof(int32_t)));
  }

  // A row of scratch may be read up to a vector beyond its end.
  template <class U>
  static int64_t pitch_of(int64_t n) {
    return round_up(n, kLanes<U>) + kLanes<U>;
  }

  // Map columns of this item; `step` may be less than at construction.
  void enter(const PoolItem& item, Span map_columns, int64_t step) {
    item_ = item;
    map_ = map_columns;
    step_ = step;
    x_.clear();
    v_.clear();
  }

  void maxima(int64_t i, T* out) {
    max_row(window(x_, op_.blur.x, -std::numeric_limits<T>::infinity(), i), length(), out);
  }

  void argmaxima(int64_t i, T* out) {
    const Window<T> window_ = window(x_, op_.blur.x, -std::numeric_limits<T>::infinity(), i);
    argmax_row(window_, length(), out);
    const int64_t beside = std::min<int64_t>(op_.max_w.padding, map_.end);
    for (int64_t column = map_.begin; column < beside; ++column) {
      for (int64_t c = 0; c < step_; ++c) {
        const int64_t at = (column - map_.begin) * step_ + c;
        out[at] = argmax_at(window_, at, op_.max_w.padding - static_cast<int>(column));
      }
    }
  }

  void selected(int64_t i, T* out) {
    argmaxima(i, codes_);
    select_row(window(v_, op_.v, T(0), i), codes_, length(), out);
  }

 private:
  int64_t length() const { return map_.size() * step_; }

  Window<T> window(RowRing<T>& ring, const Images& images, T outside, int64_t i) {
    const int64_t top = i - op_.max_h.padding;
    const Span inside{std::max<int64_t>(top, 0), std::min(top + op_.max_h.window, images.height)};
    const Span columns{map_.begin - op_.max_w.padding, map_.end - op_.max_w.padding + op_.max_w.window - 1};
    for (int64_t r = inside.begin; r < inside.end; ++r) {
      rows_[r - inside.begin] =
          ring.row(r & (slots_ - 1), r, [&](T* row) { stage_row(images, item_, r, columns, step_, outside, row); });
    }
    return {rows_, static_cast<int>(inside.begin - top), static_cast<int>(inside.size()), op_.max_w.window, step_};
  }

  const MaxBlurPool& op_;
  int64_t slots_ = 0, step_ = 1;
  RowRing<T> x_, v_;
  T* codes_ = nullptr;
  const T** rows_ = nullptr;
  PoolItem item_{};
  Span map_{0, 0};
};

template <class T>
class MapRows {
 public:
  MapRows(const MaxBlurPool& op, int64_t step, int64_t map_columns, bool whole_plane, Arena<T>& arena)
      : op_(op),
        plain_(op.max_h.window == 1 && op.max_w.window == 1),
        selects_(op.v.data != nullptr),
        windows_(op, step, map_columns, op.v.data != nullptr, arena) {
    const BlurAxis& h = op.blur.h;
    const int64_t pitch = Windows<T>::template pitch_of<T>(map_columns * step);
    // A small map is kept whole. Else the rows inside one window of taps take turns in a ring, and those that stand for
    // padding have slots of their own, one per tap.
    keeps_all_ = whole_plane && h.size * pitch * int64_t{sizeof(T)} <= kKeptBytes;
    inside_slots_ = keeps_all_ ? h.size : power_of_two_from(h.taps);
    ring_ = RowRing<T>(inside_slots_ + (keeps_all_ ? 0 : h.taps), pitch, arena);
  }

  void enter(const PoolItem& item, Span columns, int64_t step) {
    item_ = item;
    columns_ = columns;
    step_ = step;
    direct_ = plain_ && has_rows_of<T>(image(), step);
    if (direct_) return;
    windows_.enter(item, columns, step);
    ring_.clear();
  }

  // Row i of the map, which tap j of a window of taps reads; `inside` says that i is no padding there.
  const T* row(int64_t i, int j, bool inside) {
    if (direct_) return row_in<T>(image(), item_, i, columns_.begin);
    const int64_t slot = keeps_all_ ? i : inside ? i & (inside_slots_ - 1) : inside_slots_ + j;
    return ring_.row(slot, i, [&](T* out) { make(i, out); });
  }

 private:
  static constexpr int64_t kKeptBytes = 64 << 10;

  // What is blurred where there is no maximum.
  const Images& image() const { return selects_ ? op_.v : op_.blur.x; }

  void make(int64_t i, T* out) {
    if (plain_) {
      stage_row(image(), item_, i, columns_, step_, T(0), out);
    } else if (selects_) {
      windows_.selected(i, out);
    } else {
      windows_.maxima(i, out);
    }
  }

  const MaxBlurPool& op_;
  bool plain_, selects_, direct_ = false, keeps_all_ = false;
  Windows<T> windows_;
  RowRing<T> ring_;
  int64_t inside_slots_ = 0, step_ = 1;
  PoolItem item_{};
  Span columns_{0, 0};
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
