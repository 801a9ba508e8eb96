// Rows of the map that is blurred: rows of x where they can be read in place, else rows made in scratch: of half types
// widened, of the maximum, or of another image's values where x has its maximum.
#pragma once

#include "pool_task.h"
#include "row_ring.h"
#include "window_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Rows of an image as windows of the maximum read them: in place where that is possible, else with `outside` beside the
// plane in scratch.
template <class T>
class WindowSource {
 public:
  WindowSource() = default;
  WindowSource(const MaxBlurPool& op, const Images& images, T outside, int64_t map_columns, int64_t step,
               Arena<T>& arena)
      : images_(&images), outside_(outside), window_(op.max_h.window), padding_(op.max_h.padding), across_(op.max_w) {
    const int64_t columns = map_columns + across_.window - 1;
    ring_ = RowRing<T>(kRowsTogether + window_, pitch_for<T>(columns * step), arena);
    rows_ = arena.template take_as<const T*>(window_);
  }

  void enter(const PoolItem& item, Span map_columns, int64_t step) {
    item_ = item;
    columns_ = {map_columns.begin - across_.padding, map_columns.end - across_.padding + across_.window - 1};
    step_ = step;
    direct_ = has_rows_of<T>(*images_, step) && columns_.begin >= 0 && columns_.end <= images_->width;
    ring_.clear();
  }

  // The windows of map row i, and of as many rows below it, up to `count`, as follow at one distance.
  Window<T> windows(int64_t i, int64_t count) {
    const int64_t top = i - padding_, height = images_->height;
    const Span inside{std::max<int64_t>(top, 0), std::min(top + window_, height)};
    int64_t repeats = inside.size() == window_ ? std::min(count, height - window_ - top + 1) : 1;
    if (!direct_) {
      repeats = std::min(repeats, ring_.slots() - inside.size() + 1);
      ring_.ensure({inside.begin, inside.end + repeats - 1}, [&](int64_t first, int64_t rows, T* out) {
        stage_rows(*images_, item_, {first, first + rows}, columns_, step_, outside_, out, ring_.pitch());
      });
      repeats = std::clamp<int64_t>(ring_.together(inside.begin) - inside.size() + 1, 1, repeats);
    }
    for (int64_t r = inside.begin; r < inside.end; ++r) {
      rows_[r - inside.begin] = direct_ ? row_in<T>(*images_, item_, r, columns_.begin) : ring_.at(r);
    }
    return {rows_,
            static_cast<int>(inside.begin - top),
            static_cast<int>(inside.size()),
            across_.window,
            step_,
            repeats,
            direct_ ? images_->row_stride : ring_.pitch(),
            direct_};
  }

 private:
  static constexpr int64_t kRowsTogether = 6;
  const Images* images_ = nullptr;
  T outside_ = 0;
  int window_ = 1, padding_ = 0;
  MaxAxis across_{1, 0};
  RowRing<T> ring_;
  const T** rows_ = nullptr;
  PoolItem item_{};
  Span columns_{0, 0};
  int64_t step_ = 1;
  bool direct_ = false;
};

// Rows of maxima of x, of which element of each window that is, and of what another image has there.
template <class T>
class Maxima {
 public:
  Maxima(const MaxBlurPool& op, int64_t map_columns, int64_t step, bool selects, Arena<T>& arena)
      : op_(op), there_(op.max_h.window > 1 || op.max_w.window > 1) {
    if (!there_) return;
    x_ = WindowSource<T>(op, op.blur.x, -std::numeric_limits<T>::infinity(), map_columns, step, arena);
    if (!selects) return;
    v_ = WindowSource<T>(op, op.v, T(0), map_columns, step, arena);
    codes_ = arena.take(map_columns * step);
  }
  bool there() const { return there_; }

  void enter(const PoolItem& item, Span map_columns, int64_t step) {
    if (!there_) return;
    map_ = map_columns;
    step_ = step;
    x_.enter(item, map_columns, step);
    if (codes_) v_.enter(item, map_columns, step);
  }

  void maxima(int64_t i, int64_t count, T* out, int64_t pitch) {
    for_each_run(i, count, [&](const Window<T>& windows, int64_t at) {
      find_rows<Maximum<T>>(windows, length(), out + at * pitch, pitch);
    });
  }

  void argmaxima(int64_t i, int64_t count, T* out, int64_t pitch) {
    for_each_run(i, count, [&](const Window<T>& windows, int64_t at) {
      find_rows<Argmax<T>>(windows, length(), out + at * pitch, pitch);
      correct_beside(windows, out + at * pitch, pitch);
    });
  }

  void selected(int64_t i, int64_t count, T* out, int64_t pitch) {
    for (int64_t r = 0; r < count; ++r) {
      argmaxima(i + r, 1, codes_, 0);
      select_row(v_.windows(i + r, 1), codes_, length(), out + r * pitch);
    }
  }

 private:
  int64_t length() const { return map_.size() * step_; }

  template <class Visit>
  void for_each_run(int64_t i, int64_t count, Visit&& visit) {
    for (int64_t done = 0; done < count;) {
      const Window<T> windows = x_.windows(i + done, count - done);
      visit(windows, done);
      done += windows.repeats;
    }
  }

  // Windows that begin left of the plane: if all inside is -inf, so is what was found outside.
  void correct_beside(Window<T> windows, T* out, int64_t pitch) {
    const int64_t padding = op_.max_w.padding;
    for (int64_t column = map_.begin; column < std::min(padding, map_.end); ++column) {
      for (int64_t r = 0; r < windows.repeats; ++r) {
        for (int64_t c = 0; c < step_; ++c) {
          const int64_t at = (column - map_.begin) * step_ + c;
          out[r * pitch + at] = argmax_at(windows, r * windows.rows_step + at, padding - column);
        }
      }
    }
  }

  const MaxBlurPool& op_;
  bool there_;
  WindowSource<T> x_, v_;
  T* codes_ = nullptr;
  int64_t step_ = 1;
  Span map_{0, 0};
};

// Rows pitch apart, as many as were asked for or fewer.
template <class T>
struct RowRun {
  const T* first;
  int64_t pitch, count;
};

template <class T>
class MapRows {
 public:
  // Up to `rows` rows are asked for at a time; a map that is small, and that is wanted whole, is kept whole.
  MapRows(const MaxBlurPool& op, int64_t rows, int64_t map_columns, int64_t step, bool whole, Arena<T>& arena)
      : op_(op), selects_(op.v.data != nullptr), maxima_(op, map_columns, step, selects_, arena) {
    const int64_t pitch = pitch_for<T>(map_columns * step), all = op.blur.h.size;
    keeps_all_ = whole && all * pitch * int64_t{sizeof(T)} <= kKeptBytes;
    ring_ = RowRing<T>(keeps_all_ ? all : rows, pitch, arena);
    apart_ = RowRing<T>(op.blur.h.taps, pitch, arena);
  }

  void enter(const PoolItem& item, Span columns, int64_t step) {
    item_ = item;
    columns_ = columns;
    step_ = step;
    direct_ = !maxima_.there() && has_rows_of<T>(image(), step);
    if (direct_) return;
    maxima_.enter(item, columns, step);
    ring_.clear();
    if (keeps_all_) ensure({0, op_.blur.h.size});
  }

  // True where any rows may be asked for, and stay.
  bool at_hand() const { return keeps_all_ || (!maxima_.there() && has_rows_of<T>(image(), 1)); }
  // True where rows are those of the tensor.
  bool direct() const { return direct_; }

  // Rows from the first one on that follow each other at one distance. All of these are at hand until the next call.
  RowRun<T> rows(Span rows) {
    if (direct_) return {row_in<T>(image(), item_, rows.begin, columns_.begin), image().row_stride, rows.size()};
    ensure(rows);
    return {ring_.at(rows.begin), ring_.pitch(), std::min(rows.size(), ring_.together(rows.begin))};
  }
  // Row i, which tap j reads: one of the rows asked for last, or one that stands for padding beside them.
  const T* row(int64_t i, int j) {
    if (direct_) return row_in<T>(image(), item_, i, columns_.begin);
    if (ring_.holds(i)) return ring_.at(i);
    make(i, 1, apart_.at(j), 0);
    return apart_.at(j);
  }

 private:
  static constexpr int64_t kKeptBytes = 32 << 10;

  // What is blurred where there is no maximum.
  const Images& image() const { return selects_ ? op_.v : op_.blur.x; }

  void ensure(Span rows) {
    ring_.ensure(rows, [&](int64_t first, int64_t count, T* out) { make(first, count, out, ring_.pitch()); });
  }
  void make(int64_t i, int64_t count, T* out, int64_t pitch) {
    if (!maxima_.there()) {
      stage_rows(image(), item_, {i, i + count}, columns_, step_, T(0), out, pitch);
    } else if (selects_) {
      maxima_.selected(i, count, out, pitch);
    } else {
      maxima_.maxima(i, count, out, pitch);
    }
  }

  const MaxBlurPool& op_;
  bool selects_, direct_ = false, keeps_all_ = false;
  Maxima<T> maxima_;
  RowRing<T> ring_, apart_;
  int64_t step_ = 1;
  PoolItem item_{};
  Span columns_{0, 0};
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
