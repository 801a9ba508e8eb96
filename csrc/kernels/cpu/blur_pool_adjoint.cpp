// blur_pool_adjoint and max_blur_pool_backward: rows of the transposed blur; behind a maximum, each element of x gathers
// from them what belongs to the windows it is the maximum of.
#include "../blur_pool.h"
#include "adjoint_rows.h"
#include "dispatch.h"
#include "map_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

// One window row as the gather sees it: the gradients of its windows and which element of each is the maximum.
template <class T>
struct WindowRow {
  const T *gradients, *codes;
  int row;  // of x inside the window
};

template <class T>
class BlurAdjoint {
 public:
  BlurAdjoint(const MaxBlurPool& op, void* scratch)
      : op_(op),
        tiling_(tiling_of(op)),
        arena_(scratch),
        maximum_(op.max_h.window > 1 || op.max_w.window > 1),
        adjoint_(op.blur, PoolTiling::is_interleaved(op.v), tiling_.step(),
                 std::min(op.blur.h.size, tiling_.most_rows() + op.max_h.window), arena_),
        windows_(op, tiling_.step(), op.blur.w.size, false, arena_) {
    if (maximum_) {
      const int64_t columns = tiling_.most_columns() + op.max_w.window - 1;
      const int64_t slots = power_of_two_from(adjoint_.block() + op.max_h.window);
      slots_ = slots;
      ring_pitch_ = Windows<T>::template pitch_of<T>(columns * tiling_.step());
      gradients_ = arena_.take(slots * ring_pitch_);
      codes_ = arena_.take(slots * ring_pitch_);
      window_rows_ = reinterpret_cast<WindowRow<T>*>(
          arena_.take_indices(op.max_h.window * sizeof(WindowRow<T>) / sizeof(int32_t)));
    }
    narrow_ = arena_.take(tiling_.most_columns() * tiling_.step());
  }
  size_t scratch_bytes() const { return arena_.bytes(); }
  static int64_t items(const MaxBlurPool& op) { return tiling_of(op).items(); }

  void run_item(int64_t index) {
    item_ = tiling_.item(index);
    step_ = tiling_.channels_of(item_);
    map_rows_ = windows_over(item_.rows, op_.max_h, op_.blur.h.size);
    map_columns_ = windows_over(item_.columns, op_.max_w, op_.blur.w.size);
    if (part_ != tiling_.part_of(index)) {
      part_ = tiling_.part_of(index);
      adjoint_.enter_part(map_rows_, map_columns_);
    }
    adjoint_.enter(item_, step_);
    if (maximum_) {
      windows_.enter(item_, map_columns_, step_);
      gather_rows();
    } else {
      copy_rows();
    }
  }

 private:
  static PoolTiling tiling_of(const MaxBlurPool& op) { return {op.v, 1, 1, PoolTiling::is_interleaved(op.v)}; }

  // The windows that hold any of these samples.
  static Span windows_over(Span samples, const MaxAxis& axis, int64_t windows) {
    return {std::max<int64_t>(0, samples.begin + axis.padding - axis.window + 1),
            std::min(windows, samples.end + axis.padding)};
  }

  void copy_rows() {
    for (int64_t i = item_.rows.begin; i < item_.rows.end; i += adjoint_.block()) {
      const int64_t count = std::min(adjoint_.block(), item_.rows.end - i);
      const T* rows = adjoint_.rows(i, count);
      for (int64_t b = 0; b < count; ++b) {
        unstage_row(op_.v, item_, i + b, item_.columns, step_, rows + b * adjoint_.pitch());
      }
    }
  }

  void gather_rows() {
    int64_t next = map_rows_.begin;
    for (int64_t r = item_.rows.begin; r < item_.rows.end; ++r) {
      const int64_t last = std::min(op_.blur.h.size, r + op_.max_h.padding + 1);
      while (next < last) {
        const int64_t count = std::min(adjoint_.block(), map_rows_.end - next);
        const T* rows = adjoint_.rows(next, count);
        for (int64_t b = 0; b < count; ++b) keep_row(next + b, rows + b * adjoint_.pitch());
        next += count;
      }
      gather_row(r);
    }
  }

  // Where column 0 of a kept row stands: windows left of the map's first one are kept as zeros.
  int64_t first_kept() const { return item_.columns.begin + op_.max_w.padding - op_.max_w.window + 1; }

  void keep_row(int64_t i, const T* row) {
    T* kept = gradients_ + (i & (slots_ - 1)) * ring_pitch_;
    const int64_t before = (map_columns_.begin - first_kept()) * step_, n = map_columns_.size() * step_;
    const int64_t all = (item_.columns.size() + op_.max_w.window - 1) * step_;
    fill(kept, before, T(0));
    for (int64_t k = 0; k < n; ++k) kept[before + k] = row[k];
    fill(kept + before + n, all - before - n, T(0));
    T* codes = codes_ + (i & (slots_ - 1)) * ring_pitch_;
    fill(codes, before, T(-1));
    windows_.argmaxima(i, codes + before);
    fill(codes + before + n, all - before - n, T(-1));
  }

  void gather_row(int64_t r) {
    int count = 0;
    for (int row = 0; row < op_.max_h.window; ++row) {
      const int64_t i = r + op_.max_h.padding - row;
      if (i < 0 || i >= op_.blur.h.size) continue;
      const int64_t slot = (i & (slots_ - 1)) * ring_pitch_;
      window_rows_[count++] = {gradients_ + slot, codes_ + slot, row};
    }
    const bool direct = has_rows_of<T>(op_.v, step_);
    T* out = direct ? const_cast<T*>(row_in<T>(op_.v, item_, r, item_.columns.begin)) : narrow_;
    const int64_t n = item_.columns.size() * step_;
    if (count == 2 && op_.max_w.window == 2) {
      gather(Index<2>{}, Index<2>{}, n, out);
    } else if (count == 3 && op_.max_w.window == 3) {
      gather(Index<3>{}, Index<3>{}, n, out);
    } else {
      gather(count, op_.max_w.window, n, out);
    }
    if (!direct) unstage_row(op_.v, item_, r, item_.columns, step_, narrow_);
  }

  template <class Rows, class Columns>
  void gather(Rows rows, Columns columns, int64_t n, T* out) {
    for (int64_t k = 0; k < n; k += kLanes<T>) {
      vector_of<T> sum{};
      for (int d = 0; d < rows * columns; ++d) {
        const WindowRow<T>& window = window_rows_[d / columns];
        const int column = d % columns;
        const int64_t at = (columns - 1 - column) * step_ + k;
        const vector_of<T> code = vector_of<T>{} + T(window.row * columns + column);
        sum += load(window.codes + at) == code ? load(window.gradients + at) : vector_of<T>{};
      }
      store_some(out + k, n - k, sum);
    }
  }

  const MaxBlurPool& op_;
  PoolTiling tiling_;
  Arena<T> arena_;
  bool maximum_;
  AdjointRows<T> adjoint_;
  Windows<T> windows_;
  int64_t slots_ = 0, ring_pitch_ = 0;
  T *gradients_ = nullptr, *codes_ = nullptr, *narrow_;
  WindowRow<T>* window_rows_ = nullptr;

  PoolItem item_{};
  int64_t step_ = 1, part_ = -1;
  Span map_rows_{0, 0}, map_columns_{0, 0};
};

template <class T>
void run(const MaxBlurPool& op, int64_t begin, int64_t end, void* scratch) {
  BlurAdjoint<T> adjoint(op, scratch);
  for (int64_t item = begin; item < end; ++item) adjoint.run_item(item);
}

}  // namespace

template <class T>
void fill_blur_pool_adjoint(Kernels<T>& kernels) {
  kernels.blur_pool_adjoint_scratch = [](const MaxBlurPool& op) { return BlurAdjoint<T>(op, nullptr).scratch_bytes(); };
  kernels.blur_pool_adjoint_items = BlurAdjoint<T>::items;
  kernels.blur_pool_adjoint = run<T>;
}
template void fill_blur_pool_adjoint<float>(Kernels<float>&);
template void fill_blur_pool_adjoint<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
