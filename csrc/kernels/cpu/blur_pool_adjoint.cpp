// blur_pool_adjoint and max_blur_pool_backward: rows of the transposed blur; behind a maximum, each element of x gathers
// from them what belongs to the windows it is the maximum of.
#include "../blur_pool.h"
#include "adjoint_rows.h"
#include "dispatch.h"
#include "map_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

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
    }
    narrow_ = arena_.take(kNarrowRows * tiling_.most_columns() * tiling_.step());
  }
  size_t scratch_bytes() const { return arena_.bytes(); }
  static int64_t items(const MaxBlurPool& op) { return tiling_of(op).items(); }

  void run_item(int64_t index) {
    if (index != next_ || !tiling_.advance(item_)) {
      item_ = tiling_.item(index);
      if (part_ != tiling_.part_of(index)) enter_part(tiling_.part_of(index));
    }
    next_ = index + 1;
    step_ = tiling_.channels_of(item_);
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
  // Of a tile, gradients and codes of some rows are in scratch together; kNarrowRows are gathered before they are narrowed.
  static constexpr int64_t kTileElements = 4096, kNarrowRows = 8;

  static PoolTiling tiling_of(const MaxBlurPool& op) {
    return {op.v, 1, 1, PoolTiling::is_interleaved(op.v) ? kTileElements : 0};
  }

  // The windows that hold any of these samples.
  static Span windows_over(Span samples, const MaxAxis& axis, int64_t windows) {
    return {std::max<int64_t>(0, samples.begin + axis.padding - axis.window + 1),
            std::min(windows, samples.end + axis.padding)};
  }

  void enter_part(int64_t part) {
    part_ = part;
    map_rows_ = windows_over(item_.rows, op_.max_h, op_.blur.h.size);
    map_columns_ = windows_over(item_.columns, op_.max_w, op_.blur.w.size);
    adjoint_.enter_part(map_rows_, map_columns_);
  }

  void copy_rows() {
    const bool direct = !streams_ && has_rows_of<T>(op_.v, step_);
    T* first = const_cast<T*>(row_in<T>(op_.v, item_, item_.rows.begin, item_.columns.begin));
    if (direct && adjoint_.write_rows(item_.rows, first, op_.v.row_stride, true)) return;
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

  // Rows of scratch have room for a vector beyond their end, so that all of this goes by whole vectors, from left to right.
  void keep_rows(int64_t i, int64_t count) {
    const int64_t before = (map_columns_.begin - first_kept()) * step_, n = map_columns_.size() * step_;
    const int64_t after = (item_.columns.size() + op_.max_w.window - 1) * step_ - before - n;
    const auto beside = [&](const RowRing<T>& ring, int64_t begin, int64_t size, T value) FREQOPS_INLINED {
      T* out = ring.at(i) + begin;
      for (int64_t b = 0; b < count; ++b, out += ring.pitch()) {
        for (int64_t k = 0; k < size; k += kLanes<T>) store(out + k, vector_of<T>{} + value);
      }
    };
    beside(gradients_, 0, before, T(0));
    beside(codes_, 0, before, T(-1));
    T* kept = gradients_.at(i) + before;
    if (!adjoint_.write_rows({i, i + count}, kept, gradients_.pitch(), false)) {
      const T* rows = adjoint_.rows(i, count);
      for (int64_t b = 0; b < count; ++b, kept += gradients_.pitch(), rows += adjoint_.pitch()) {
        for (int64_t k = 0; k < n; k += kLanes<T>) store(kept + k, load(rows + k));
      }
    }
    maxima_.argmaxima(i, count, codes_.at(i) + before, codes_.pitch());
    beside(gradients_, before + n, after, T(0));
    beside(codes_, before + n, after, T(-1));
  }

  // Gathers row r of x and as many below it, up to `count`, as find their windows at one distance; says how many.
  int64_t gather_rows_at(int64_t r, int64_t count) {
    const int64_t top = r + op_.max_h.padding - op_.max_h.window + 1;
    const Span inside{std::max<int64_t>(top, 0), std::min(top + op_.max_h.window, op_.blur.h.size)};
    int64_t repeats = inside.size() == op_.max_h.window ? std::min(count, op_.blur.h.size - inside.end + 1) : 1;
    repeats = std::min(repeats, gradients_.together(inside.end - 1));
    const bool direct = has_rows_of<T>(op_.v, step_);
    T* out = direct ? const_cast<T*>(row_in<T>(op_.v, item_, r, item_.columns.begin)) : narrow_;
    const int64_t row = item_.columns.size() * step_, out_step = direct ? op_.v.row_stride : row;
    if (!direct) repeats = std::min(repeats, kNarrowRows);
    if (inside.size() == 2 && op_.max_h.window == 2 && op_.max_w.window == 2) {
      gather_marching(inside.begin, Index<2>{}, Index<2>{}, out, out_step, repeats);
    } else if (inside.size() == 3 && op_.max_h.window == 3 && op_.max_w.window == 3) {
      gather_marching(inside.begin, Index<3>{}, Index<3>{}, out, out_step, repeats);
    } else {
      for (int64_t k = 0; k < repeats; ++k) gather_row({inside.begin + k, inside.end + k}, r + k, out + k * out_step);
    }
    if (!direct) unstage_rows(op_.v, item_, {r, r + repeats}, item_.columns, step_, narrow_, row);
    return repeats;
  }

  // What the windows of one row of the map give to row `row` of theirs: each to the element it is the maximum of.
  template <class Columns, class Vector>
  static vector_of<T> given(const T* gradients, const T* codes, int row, Columns columns, int64_t step, Vector vector) {
    vector_of<T> sum{};
    for (int c = 0; c < columns; ++c) {
      const int64_t at = (columns - 1 - c) * step;
      const vector_of<T> code = vector_of<T>{} + T(row * columns + c);
      sum += vector.load(codes + at) == code ? vector.load(gradients + at) : vector_of<T>{};
    }
    return sum;
  }

  template <class Vector>
  static void put(T* out, vector_of<T> v, Vector vector, bool streams) {
    streams ? store_streaming(out, v) : vector.store(out, v);
  }

  // Rows of x one after the other, each under a full window of rows of the map, `first` and those below it. Every row of
  // the map is read once: what it gives to rows of x further down is carried there.
  template <class Rows, class Columns>
  void gather_marching(int64_t first, Rows rows, Columns columns, T* out, int64_t out_step, int64_t repeats) const {
    constexpr int kRows = Rows::value;
    const int64_t n = item_.columns.size() * step_, pitch = gradients_.pitch(), step = step_;
    const bool streams = streams_;
    const T *gradient_rows[kRows], *code_rows[kRows];
    for (int w = 0; w < kRows; ++w) {
      gradient_rows[w] = gradients_.at(first + w);
      code_rows[w] = codes_.at(first + w);
    }
    for_each_vector<T>(n, {true, false}, [&](int64_t i, auto vector) FREQOPS_INLINED {
      T* target = out + i;
      vector_of<T> sums[kRows] = {};  // of this row of x, and of those below it
      const auto add_row = [&](const T* gradients, const T* codes, int from) FREQOPS_INLINED {
        for (int r = from; r < rows; ++r) sums[r - from] += given(gradients, codes, r, columns, step, vector);
      };
      for (int w = 0; w + 1 < kRows; ++w) add_row(gradient_rows[w] + i, code_rows[w] + i, kRows - 1 - w);
      const T *gradients = gradient_rows[kRows - 1] + i, *codes = code_rows[kRows - 1] + i;
      for (int64_t k = 0; k < repeats; ++k, target += out_step, gradients += pitch, codes += pitch) {
        if (!streams) __builtin_prefetch(target + repeats * out_step, 1);
        add_row(gradients, codes, 0);
        put(target, sums[0], vector, streams);
        for (int r = 1; r < rows; ++r) sums[r - 1] = sums[r];
        sums[rows - 1] = vector_of<T>{};
      }
    });
  }

  // Row r of x under any rows of the map.
  void gather_row(Span windows, int64_t r, T* out) const {
    for_each_vector<T>(item_.columns.size() * step_, {true, false}, [&](int64_t i, auto vector) FREQOPS_INLINED {
      vector_of<T> sum{};
      for (int64_t w = windows.begin; w < windows.end; ++w) {
        const int row = static_cast<int>(r + op_.max_h.padding - w);
        sum += given(gradients_.at(w) + i, codes_.at(w) + i, row, op_.max_w.window, step_, vector);
      }
      put(out + i, sum, vector, streams_);
    });
  }

  const MaxBlurPool& op_;
  PoolTiling tiling_;
  Arena<T> arena_;
  AdjointRows<T> adjoint_;
  Maxima<T> maxima_;
  RowRing<T> gradients_, codes_;
  T* narrow_;

  PoolItem item_{};
  bool streams_ = false;
  int64_t step_ = 1, part_ = -1, next_ = -1;
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
