// blur_pool, max_blur_pool and max_blur_pool_select: rows of the map, summed along the height into a row of scratch,
// which is summed along the width into the output. One pass over x; only a few rows are ever in scratch.
#include "../blur_pool.h"

#include <utility>

#include "dispatch.h"
#include "map_rows.h"
#include "narrow_rows.h"
#include "sum_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

template <class T>
class BlurForward {
 public:
  BlurForward(const MaxBlurPool& op, void* scratch)
      : op_(op),
        tiling_(tiling_of(op)),
        arena_(scratch),
        interleaved_(PoolTiling::is_interleaved(op.blur.y)),
        taps_h_(op.blur.taps_h, op.blur.h.taps, op.blur.per_channel, op.blur.y.channels, interleaved_, arena_),
        taps_w_(op.blur.taps_w, op.blur.w.taps, op.blur.per_channel, op.blur.y.channels, interleaved_, arena_),
        positions_((tiling_.most_columns() - 1) * op.blur.w.stride + op.blur.w.taps),
        pitch_(interleaved_ ? pitch_for<T>(op.blur.w.size * tiling_.step()) : planar_pitch()),
        block_(std::clamp<int64_t>(kBlockElements / pitch_, 1, kMostBlockRows)),
        map_(op, (std::min(block_, op.blur.h.outputs) - 1) * op.blur.h.stride + op.blur.h.taps, op.blur.w.size,
             tiling_.step(), tiling_.row_chunks() == 1, arena_) {
    source_w_ = arena_.template take_as<int32_t>(positions_);
    // Strides of thousands cut even a few outputs in tiles.
    is_narrow_ =
        !interleaved_ && tiling_.column_tiles() == 1 && map_.at_hand() && NarrowBlur<T>::fits(op.blur.h, op.blur.w);
    interleaved_ ? take_interleaved() : is_narrow_ ? take_narrow() : take_planar();
    const bool whole = tiling_.row_chunks() == 1 && tiling_.column_tiles() == 1;
    if (whole && !interleaved_ && !is_narrow_ && !op.blur.per_channel) planes_at_once_ = block_ / op.blur.h.outputs;
  }
  size_t scratch_bytes() const { return arena_.bytes(); }
  static int64_t items(const MaxBlurPool& op) { return tiling_of(op).items(); }

  // Does item `index`, or with it as many of the `most` from there on as fit a block of rows; says how many.
  int64_t run_items(int64_t index, int64_t most) {
    enter(index);
    if (is_narrow_) return run_narrow();
    if (planes_at_once_ > 1) return run_planes(index, std::min(most, planes_at_once_));
    for (int64_t o = item_.rows.begin; o < item_.rows.end; o += block_) {
      const int64_t count = std::min(block_, item_.rows.end - o);
      interleaved_ ? blur_interleaved(o, count) : blur_planar(o, count);
    }
    return 1;
  }

 private:
  static constexpr int64_t kTileElements = 8192, kBlockElements = 2048, kMostBlockRows = 64;

  static PoolTiling tiling_of(const MaxBlurPool& op) {
    return {op.blur.y, op.blur.h.stride, op.blur.w.stride, kTileElements};
  }

  void enter(int64_t index) {
    if (index != next_ || !tiling_.advance(item_)) {
      item_ = tiling_.item(index);
      if (part_ != tiling_.part_of(index)) enter_part(tiling_.part_of(index));
    }
    next_ = index + 1;
    step_ = tiling_.channels_of(item_);
    map_.enter(item_, columns_, step_);
  }

  // Which samples the taps of this part's rows and columns read.
  void enter_part(int64_t part) {
    part_ = part;
    const BlurAxis& w = op_.blur.w;
    first_ = item_.columns.begin * w.stride - w.before;
    const int64_t count = (item_.columns.size() - 1) * w.stride + w.taps;
    columns_ = sources_of(w, first_, count);
    for (int64_t p = 0; p < count; ++p) source_w_[p] = static_cast<int32_t>(source_index(first_ + p, w.size, w.mode));
    padding_before_ = std::clamp<int64_t>(-first_, 0, count);
    padding_after_ = std::clamp<int64_t>(first_ + count - w.size, 0, count - padding_before_);
    // Outputs whose taps meet no padding: those of one row are summed in one go.
    const int64_t unpadded_to = w.size + w.before < w.taps ? 0 : (w.size + w.before - w.taps) / w.stride + 1;
    unpadded_.begin =
        std::clamp(divide_up(std::max<int64_t>(w.before, 0), w.stride), item_.columns.begin, item_.columns.end);
    unpadded_.end = std::clamp(unpadded_to, item_.columns.begin, item_.columns.end);
  }

  // Sums the rows of the map that output rows o, o + 1, ... read.
  void blur_height(int64_t o, int64_t count, T* out, int64_t pitch) {
    const BlurAxis& h = op_.blur.h;
    for (int64_t done = 0; done < count;) {
      const int64_t first = (o + done) * h.stride - h.before;
      const int64_t unpadded = first < 0 ? 0 : divide_down(h.size - h.taps - first, h.stride) + 1;
      const int64_t summed =
          unpadded > 0 ? sum_unpadded_rows(first, std::min(unpadded, count - done), out + done * pitch, pitch) : 0;
      if (summed == 0) sum_row(o + done, out + done * pitch);
      done += std::max<int64_t>(summed, 1);
    }
  }

  // Up to `count` output rows, stride apart, whose taps meet no padding; says how many there were.
  int64_t sum_unpadded_rows(int64_t first, int64_t count, T* out, int64_t pitch) {
    const BlurAxis& h = op_.blur.h;
    const RowRun<T> run = map_.rows({first, first + (count - 1) * h.stride + h.taps});
    if (run.count < h.taps) return 0;
    count = taps_h_.in_lanes() ? 1 : (run.count - h.taps) / h.stride + 1;
    RowSummer<T> summer = height_summer(out, count, pitch, h.stride * run.pitch);
    for (int j = 0; j < h.taps; ++j) summer.add(run.first + j * run.pitch, taps_h_.at(item_.c, j));
    summer.finish();
    return count;
  }
  // Any output row.
  void sum_row(int64_t o, T* out) {
    const BlurAxis& h = op_.blur.h;
    const int64_t first = o * h.stride - h.before;
    const Span inside{std::max<int64_t>(first, 0), std::min(first + h.taps, h.size)};
    if (inside.size() > 0) map_.rows(inside);
    RowSummer<T> summer = height_summer(out, 1, 0, 0);
    for (int j = 0; j < h.taps; ++j) {
      const int64_t source = source_index(first + j, h.size, h.mode);
      if (source >= 0) summer.add(map_.row(source, j), taps_h_.at(item_.c, j));
    }
    summer.finish();
  }
  RowSummer<T> height_summer(T* out, int64_t rows, int64_t out_step, int64_t rows_step) const {
    // A row of x may end with its tensor; what is beyond a row of scratch is written again, or never read.
    if (taps_h_.in_lanes()) return {out, step_, columns_.size(), step_, step_, {false, false}, true};
    return {out, columns_.size() * step_, rows, out_step, rows_step, {!map_.direct(), true}};
  }

  // --- planes that lie apart: several rows at once, so that short ones do not wait for each other ------------------

  // A row of scratch goes from the first to the last position or sample it may hold. Rows follow each other at a pitch
  // that is a multiple of the stride: their phases then do the same.
  int64_t planar_pitch() const {
    const BlurAxis& w = op_.blur.w;
    const int64_t unit = w.stride == 2 ? 2 * kLanes<T> : w.stride;
    // All positions: the samples that stand for padding may lie as far from it as the padding is wide.
    const int64_t positions = (w.outputs - 1) * w.stride + w.taps;
    return round_up(std::max(w.size, positions - w.before) + std::max<int64_t>(0, w.before), unit);
  }
  void take_planar() {
    const int64_t elements = block_ * pitch_ + 2 * kLanes<T>;
    padded_ = arena_.take(elements);
    phases_ = op_.blur.w.stride > 1 ? arena_.take(elements) : nullptr;
    narrow_ = has_rows_of<T>(op_.blur.y, 1) ? nullptr : arena_.take(block_ * tiling_.most_columns());
  }

  void blur_planar(int64_t o, int64_t count) {
    blur_height(o, count, padded_ + columns_.begin - first_held(), pitch_);
    blur_width(o, count);
  }

  // Small planes follow each other in scratch as in memory, and are summed along the width together.
  int64_t run_planes(int64_t index, int64_t count) {
    const PoolItem first = item_;
    const int64_t rows = item_.rows.size();
    for (int64_t p = 0; p < count; ++p) {
      if (p > 0) enter(index + p);
      blur_height(0, rows, padded_ + p * rows * pitch_ + columns_.begin - first_held(), pitch_);
    }
    const PoolItem last = std::exchange(item_, first);  // from which enter() goes on
    blur_width(0, rows * count);
    item_ = last;
    return count;
  }

  // The column that a row of scratch begins with.
  int64_t first_held() const { return std::min(first_, columns_.begin); }

  // From so many rows of scratch to the output, rows from o on. A plane of y begins where the one before it ends, so that
  // rows beyond the last are those of the next plane.
  void blur_width(int64_t o, int64_t count) {
    pad(count);
    const BlurAxis& w = op_.blur.w;
    const T* phases = split_phases(padded_ + first_ - first_held(), count);
    const Images& y = op_.blur.y;
    const int64_t n = item_.columns.size();
    T* out = narrow_ ? narrow_ : const_cast<T*>(row_in<T>(y, item_, o, item_.columns.begin));
    const int64_t out_step = narrow_ ? n : y.row_stride;
    RowSummer<T> summer(out, n, count, out_step, pitch_ / w.stride, {true, false});
    for (int j = 0; j < w.taps; ++j) {
      summer.add(phases + (j % w.stride) * phase_step_ + j / w.stride, taps_w_.at(item_.c, j));
    }
    summer.finish();
    if (!narrow_) return;
    unstage_rows(y, item_, {o, o + count}, item_.columns, 1, narrow_, n);
  }

  void pad(int64_t count) {
    const int64_t begin = first_held();
    const int64_t positions = (item_.columns.size() - 1) * op_.blur.w.stride + op_.blur.w.taps;
    const auto copy = [&](int64_t p) {
      T* target = padded_ + first_ + p - begin;
      if (source_w_[p] < 0) {
        for (int64_t b = 0; b < count; ++b) target[b * pitch_] = 0;
      } else {
        const T* source = padded_ + source_w_[p] - begin;
        for (int64_t b = 0; b < count; ++b) target[b * pitch_] = source[b * pitch_];
      }
    };
    for (int64_t p = 0; p < padding_before_; ++p) copy(p);
    for (int64_t p = positions - padding_after_; p < positions; ++p) copy(p);
  }

  // Every stride-th element, for each remainder: [stride][rows of scratch].
  const T* split_phases(const T* padded, int64_t count) {
    const int64_t stride = op_.blur.w.stride;
    const int64_t n = ((count - 1) * pitch_ + positions_ + stride - 1) / stride;
    phase_step_ = block_ * pitch_ / stride;
    if (stride == 1) return padded;
    if (stride == 2) {
      for (int64_t i = 0; i < n; i += kLanes<T>) deinterleave(padded + 2 * i, phases_ + i, phases_ + phase_step_ + i);
      return phases_;
    }
    for (int64_t e = 0; e < std::min<int64_t>(stride, op_.blur.w.taps); ++e) {
      for (int64_t i = 0; i < n; ++i) phases_[e * phase_step_ + i] = padded[i * stride + e];
    }
    return phases_;
  }

  // --- planes that fit registers row by row ------------------------------------------------------------------------

  void take_narrow() {
    narrow_blur_ = NarrowBlur<T>(op_.blur.h, op_.blur.w, arena_);
    narrow_ = has_rows_of<T>(op_.blur.y, 1) ? nullptr : arena_.take(tiling_.most_rows() * tiling_.most_columns());
  }
  int64_t run_narrow() {
    const Images& y = op_.blur.y;
    const RowRun<T> map = map_.rows({0, op_.blur.h.size});
    const int64_t n = item_.columns.size();
    T* out = narrow_ ? narrow_ : const_cast<T*>(row_in<T>(y, item_, item_.rows.begin, 0));
    narrow_blur_.run(map.first, map.pitch, !map_.direct(), item_.rows, taps_h_.at(item_.c, 0), taps_w_.at(item_.c, 0),
                     out, narrow_ ? n : y.row_stride);
    if (narrow_) unstage_rows(y, item_, item_.rows, item_.columns, 1, narrow_, n);
    return 1;
  }

  // --- channels_last: sums along the width are sums of pixels -----------------------------------------------------

  void take_interleaved() {
    padded_ = arena_.take(block_ * pitch_);
    narrow_ = has_rows_of<T>(op_.blur.y, op_.blur.y.channels) ? nullptr
                                                              : arena_.take(tiling_.most_columns() * tiling_.step());
  }

  void blur_interleaved(int64_t o, int64_t count) {
    blur_height(o, count, padded_, pitch_);
    const Images& y = op_.blur.y;
    const int64_t out_step = narrow_ ? step_ : y.column_stride;
    for (int64_t b = 0; b < count; ++b) {
      const T* row = padded_ + b * pitch_;
      T* out = narrow_ ? narrow_ : const_cast<T*>(row_in<T>(y, item_, o + b, item_.columns.begin));
      for (int64_t q = item_.columns.begin; q < item_.columns.end;) {
        const int64_t repeats = q == unpadded_.begin && unpadded_.size() > 0 ? unpadded_.size() : 1;
        sum_pixels(row, q, repeats, out + (q - item_.columns.begin) * out_step, out_step);
        q += repeats;
      }
      if (narrow_) unstage_rows(y, item_, {o + b, o + b + 1}, item_.columns, step_, narrow_, 0);
    }
  }

  void sum_pixels(const T* row, int64_t q, int64_t repeats, T* out, int64_t out_step) {
    const BlurAxis& w = op_.blur.w;
    const int32_t* source = source_w_ + (q - item_.columns.begin) * w.stride;
    RowSummer<T> summer(out, step_, repeats, out_step, w.stride * step_, {true, false}, taps_w_.in_lanes());
    for (int j = 0; j < w.taps; ++j) {
      if (source[j] >= 0) summer.add(row + (source[j] - columns_.begin) * step_, taps_w_.at(item_.c, j));
    }
    summer.finish();
  }

  const MaxBlurPool& op_;
  PoolTiling tiling_;
  Arena<T> arena_;
  bool interleaved_;
  Taps<T> taps_h_, taps_w_;
  int64_t positions_, pitch_, block_;
  MapRows<T> map_;
  int32_t* source_w_;  // -1: a zero
  T *padded_, *phases_ = nullptr, *narrow_;
  int64_t phase_step_ = 0, planes_at_once_ = 1;
  bool is_narrow_ = false;
  NarrowBlur<T> narrow_blur_;

  PoolItem item_{};
  int64_t step_ = 1, part_ = -1, next_ = -1;
  int64_t first_ = 0;  // the position that the first tap of the first column reads
  Span columns_{0, 0}, unpadded_{0, 0};
  int64_t padding_before_ = 0, padding_after_ = 0;
};

template <class T>
void run(const MaxBlurPool& op, int64_t begin, int64_t end, void* scratch) {
  BlurForward<T> forward(op, scratch);
  for (int64_t item = begin; item < end;) item += forward.run_items(item, end - item);
}

}  // namespace

template <class T>
void fill_blur_pool(Kernels<T>& kernels) {
  kernels.blur_pool_scratch = [](const MaxBlurPool& op) { return BlurForward<T>(op, nullptr).scratch_bytes(); };
  kernels.blur_pool_items = BlurForward<T>::items;
  kernels.blur_pool = run<T>;
}
template void fill_blur_pool<float>(Kernels<float>&);
template void fill_blur_pool<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
