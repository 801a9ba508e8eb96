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
        adjoint_(op.blur, PoolTiling::is_interleaved(op.v), tiling_.step(),
                 std::min(op.blur.h.size, tiling_.most_rows() + op.max_h.window), arena_),
        maxima_(op, op.blur.w.size, tiling_.step(), false, arena_) {
    if (maxima_.there()) {
      // Codes are written in whole vectors from where the map begins, which is no multiple of one.
      const int64_t columns = tiling_.most_columns() + op.max_w.window - 1,
                    pitch = pitch_for<T>(columns * tiling_.step() + kLanes<T>);
      gradients_ = RowRing<T>(adjoint_.block() + op.max_h.window, pitch, arena_);
      codes_ = RowRing<T>(adjoint_.block() + op.max_h.window, pitch, arena_);
      window_rows_ = arena_.template take_as<WindowRow<T>>(op.max_h.window);
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
    streams_ = can_stream();
    if (maxima_.there()) {
      maxima_.enter(item_, map_columns_, step_);
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
      if (streams_) {
        stream_rows(i, count, rows);
      } else {
        unstage_rows(op_.v, item_, {i, i + count}, item_.columns, step_, rows, adjoint_.pitch());
      }
    }
  }

  void stream_rows(int64_t i, int64_t count, const T* rows) {
    const int64_t n = item_.columns.size() * step_;
    for (int64_t b = 0; b < count; ++b, rows += adjoint_.pitch()) {
      T* out = const_cast<T*>(row_in<T>(op_.v, item_, i + b, item_.columns.begin));
      for (int64_t k = 0; k < n; k += kLanes<T>) store_streaming(out + k, load(rows + k));
    }
  }
  // Past the caches, in whole aligned vectors: a result larger than they are is not read back before it is written.
  bool can_stream() const {
    const T* first = row_in<T>(op_.v, item_, item_.rows.begin, item_.columns.begin);
    return kHasStreaming && op_.blur.stream && has_rows_of<T>(op_.v, step_) &&
           reinterpret_cast<uintptr_t>(first) % sizeof(vector_of<T>) == 0 && op_.v.row_stride % kLanes<T> == 0 &&
           item_.columns.size() * step_ % kLanes<T> == 0;
  }

  void gather_rows() {
    gradients_.clear();
    int64_t next = map_rows_.begin;
    for (int64_t r = item_.rows.begin; r < item_.rows.end;) {
      const int64_t count = std::min(std::min(adjoint_.block(), map_rows_.end - next), gradients_.together(next));
      keep_rows(next, count);
      next += count;
      const int64_t ready = next == map_rows_.end ? item_.rows.end : next - op_.max_h.padding;
      while (r < ready) r += gather_rows_at(r, ready - r);
    }
  }

  // Where column 0 of a kept row stands: windows beside the map are kept as zeros.
  int64_t first_kept() const { return item_.columns.begin + op_.max_w.padding - op_.max_w.window + 1; }

  void keep_rows(int64_t i, int64_t count) {
    const T* rows = adjoint_.rows(i, count);
    const int64_t before = (map_columns_.begin - first_kept()) * step_, n = map_columns_.size() * step_;
    const int64_t after = (item_.columns.size() + op_.max_w.window - 1) * step_ - before - n;
    maxima_.argmaxima(i, count, codes_.at(i) + before, codes_.pitch());
    for (int64_t b = 0; b < count; ++b) {
      T *kept = gradients_.at(i + b), *codes = codes_.at(i + b);
      fill(kept, before, T(0));
      for (int64_t k = 0; k < n; ++k) kept[before + k] = rows[b * adjoint_.pitch() + k];
      fill(kept + before + n, after, T(0));
      fill(codes, before, T(-1));
      fill(codes + before + n, after, T(-1));
    }
  }

  // Gathers row r of x and as many below it, up to `count`, as find their windows at one distance; says how many.
  int64_t gather_rows_at(int64_t r, int64_t count) {
    const int64_t top = r + op_.max_h.padding - op_.max_h.window + 1;
    const Span inside{std::max<int64_t>(top, 0), std::min(top + op_.max_h.window, op_.blur.h.size)};
    int64_t repeats = inside.size() == op_.max_h.window ? std::min(count, op_.blur.h.size - inside.end + 1) : 1;
    repeats = std::clamp<int64_t>(gradients_.together(inside.begin) - inside.size() + 1, 1, repeats);
    int rows = 0;
    for (int64_t i = inside.end - 1; i >= inside.begin; --i) {
      window_rows_[rows++] = {gradients_.at(i), codes_.at(i), static_cast<int>(r + op_.max_h.padding - i)};
    }
    const bool direct = has_rows_of<T>(op_.v, step_);
    T* out = direct ? const_cast<T*>(row_in<T>(op_.v, item_, r, item_.columns.begin)) : narrow_;
    if (!direct) repeats = 1;
    if (rows == 2 && op_.max_w.window == 2) {
      gather_fixed<2, 2>(out, repeats);
    } else if (rows == 3 && op_.max_w.window == 3) {
      gather_fixed<3, 3>(out, repeats);
    } else {
      gather(window_rows_, rows, op_.max_w.window, out, repeats);
    }
    if (!direct) unstage_rows(op_.v, item_, {r, r + 1}, item_.columns, step_, narrow_, 0);
    return repeats;
  }

  // For the common windows the pointers are kept in registers, and the loop over the elements is unrolled.
  template <int Rows, int Columns>
  void gather_fixed(T* out, int64_t repeats) {
    WindowRow<T> rows[Rows];
    for (int r = 0; r < Rows; ++r) rows[r] = window_rows_[r];
    gather(rows, Index<Rows>{}, Index<Columns>{}, out, repeats);
  }

  template <class Rows, class Columns>
  void gather(const WindowRow<T>* windows, Rows rows, Columns columns, T* out, int64_t repeats) {
    const int64_t n = item_.columns.size() * step_, step = step_, pitch = gradients_.pitch();
    const bool streams = streams_;
    for (int64_t r = 0; r < repeats; ++r, out += op_.v.row_stride) {
      for_each_vector<T>(n, {true, false}, [&](int64_t i, auto vector) FREQOPS_INLINED {
        vector_of<T> sum{};
        for (int d = 0; d < rows * columns; ++d) {
          const WindowRow<T>& window = windows[d / columns];
          const int64_t at = r * pitch + (columns - 1 - d % columns) * step + i;
          const vector_of<T> code = vector_of<T>{} + T(window.row * columns + d % columns);
          sum += vector.load(window.codes + at) == code ? vector.load(window.gradients + at) : vector_of<T>{};
        }
        if (streams) {
          store_streaming(out + i, sum);
        } else {
          vector.store(out + i, sum);
        }
      });
    }
  }

  const MaxBlurPool& op_;
  PoolTiling tiling_;
  Arena<T> arena_;
  AdjointRows<T> adjoint_;
  Maxima<T> maxima_;
  RowRing<T> gradients_, codes_;
  T* narrow_;
  WindowRow<T>* window_rows_ = nullptr;

  PoolItem item_{};
  bool streams_ = false;
  int64_t step_ = 1, part_ = -1;
  Span map_rows_{0, 0}, map_columns_{0, 0};
};

template <class T>
void run(const MaxBlurPool& op, int64_t begin, int64_t end, void* scratch) {
  BlurAdjoint<T> adjoint(op, scratch);
  for (int64_t item = begin; item < end; ++item) adjoint.run_item(item);
  streaming_fence();
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
