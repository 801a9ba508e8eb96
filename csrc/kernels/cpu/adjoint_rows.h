// Rows of the transposed blur: rows of y, summed along the height into a row of scratch, then spread along the width.
#pragma once

#include "map_rows.h"
#include "narrow_rows.h"
#include "pool_task.h"
#include "sum_rows.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Which (output, tap) pairs read each sample of an axis, for samples of a span.
class Readers {
 public:
  template <class T>
  Readers(const BlurAxis& axis, int64_t most_samples, Arena<T>& arena)
      : axis_(axis),
        start_(arena.template take_as<int32_t>(most_samples + 2)),
        pairs_(arena.template take_as<int32_t>(2 * axis.outputs * axis.taps)) {}

  void find(Span samples) {
    samples_ = samples;
    const int64_t n = samples.size();
    for (int64_t i = 0; i < n + 2; ++i) start_[i] = 0;
    for_each_pair([&](int64_t i, int32_t, int32_t) { ++start_[i + 2]; });
    for (int64_t i = 0; i < n; ++i) start_[i + 2] += start_[i + 1];
    // start_[i + 1] runs from the first pair of sample i to its last, and ends as the first of sample i + 1.
    for_each_pair([&](int64_t i, int32_t output, int32_t tap) {
      int32_t* pair = pairs_ + 2 * start_[i + 1]++;
      pair[0] = output;
      pair[1] = tap;
    });
  }
  int64_t first(int64_t sample) const { return start_[sample - samples_.begin]; }
  int64_t count(int64_t sample) const { return first(sample + 1) - first(sample); }
  int64_t output(int64_t pair) const { return pairs_[2 * pair]; }
  int64_t tap(int64_t pair) const { return pairs_[2 * pair + 1]; }

  // The samples around the middle that are all read as one far from both borders is.
  Span regular() const {
    const int64_t middle = (samples_.begin + samples_.end) / 2;
    Span found{middle, middle};
    while (found.begin > samples_.begin && is_regular(found.begin - 1)) --found.begin;
    while (found.end < samples_.end && is_regular(found.end)) ++found.end;
    return found;
  }
  // The outputs that read any of these regular samples.
  Span outputs_over(Span samples) const {
    const int64_t first = samples.begin + axis_.before, last = samples.end - 1 + axis_.before;
    return {std::max<int64_t>(0, divide_up(first - axis_.taps + 1, axis_.stride)),
            std::min(axis_.outputs, last / axis_.stride + 1)};
  }

 private:
  bool is_regular(int64_t sample) const {
    const int64_t position = sample + axis_.before;
    if (position < 0) return false;
    const int64_t phase = position % axis_.stride;
    const int64_t expected = phase < axis_.taps ? (axis_.taps - 1 - phase) / axis_.stride + 1 : 0;
    if (count(sample) != expected) return false;
    for (int64_t p = first(sample); p < first(sample + 1); ++p) {
      if (output(p) * axis_.stride + tap(p) != position) return false;
    }
    return true;
  }

  template <class Visit>
  void for_each_pair(Visit&& visit) const {
    for (int64_t o = 0; o < axis_.outputs; ++o) {
      for (int j = 0; j < axis_.taps; ++j) {
        const int64_t sample = source_index(o * axis_.stride + j - axis_.before, axis_.size, axis_.mode);
        if (sample < samples_.begin || sample >= samples_.end) continue;
        visit(sample - samples_.begin, static_cast<int32_t>(o), static_cast<int32_t>(j));
      }
    }
  }

  const BlurAxis& axis_;
  int32_t *start_, *pairs_;
  Span samples_{0, 0};
};

template <class T>
class AdjointRows {
 public:
  // A result of so many rows at most.
  AdjointRows(const BlurPool& blur, bool interleaved, int64_t step, int64_t most_rows, Arena<T>& arena)
      : blur_(blur),
        interleaved_(interleaved),
        taps_h_(blur.taps_h, blur.h.taps, blur.per_channel, blur.y.channels, interleaved, arena),
        taps_w_(blur.taps_w, blur.w.taps, blur.per_channel, blur.y.channels, interleaved, arena),
        readers_h_(blur.h, most_rows, arena),
        readers_w_(blur.w, interleaved ? blur.w.size : 0, interleaved ? arena : nothing_) {
    const int64_t row = pitch_for<T>(blur.w.outputs * step);
    const bool rows_at_hand = has_rows_of<T>(blur.y, 1) || blur.h.outputs * row * int64_t{sizeof(T)} <= kKeptBytes;
    is_narrow_ = !interleaved && rows_at_hand && NarrowSpread<T>::fits(blur);
    interleaved ? take_interleaved(step, arena) : is_narrow_ ? take_narrow(arena) : take_planar(arena);
    const int64_t staged = is_narrow_ ? blur.h.outputs : divide_up(block_ + blur.h.taps, blur.h.stride) + 1;
    staged_ = RowRing<T>(is_narrow_ && has_rows_of<T>(blur.y, 1) ? 0 : staged, row, arena);
    apart_ = RowRing<T>(kRowsAtOnce, row, arena);
  }

  // Rows that are made together.
  int64_t block() const { return block_; }
  int64_t pitch() const { return pitch_; }

  // The samples that row() will be asked for; all columns where planes lie apart.
  void enter_part(Span rows, Span columns) {
    readers_h_.find(rows);
    regular_rows_ = readers_h_.regular();
    columns_ = columns;
    if (interleaved_) find_columns();
  }
  void enter(const PoolItem& item, int64_t step) {
    item_ = item;
    step_ = step;
    direct_ = has_rows_of<T>(blur_.y, step);
    staged_.clear();
  }

  // Rows [i, i + count) of the result, up to a block of them, pitch() apart: [columns][step].
  const T* rows(int64_t i, int64_t count) {
    return interleaved_ ? spread_interleaved(i, count) : is_narrow_ ? spread_narrow(i, count) : spread_planar(i, count);
  }
  // The same elsewhere, where that is no detour: false, with nothing written, else. `exact`: to the end of a row only, and
  // not to that of its last vector.
  bool write_rows(Span rows, T* out, int64_t out_step, bool exact) {
    if (is_narrow_) spread_narrow_into(rows, out, out_step, exact);
    return is_narrow_;
  }

 private:
  static constexpr int64_t kBlockElements = 2048, kMostBlockRows = 16, kKeptBytes = 32 << 10;

  // --- along the height ---------------------------------------------------------------------------------------------

  void sum_height(int64_t i, int64_t count, T* out) {
    for (int64_t done = 0; done < count;) {
      const int64_t row = i + done;
      const bool regular = row >= regular_rows_.begin && row < regular_rows_.end;
      const int64_t rows = taps_h_.in_lanes() ? 1 : std::min(count - done, regular_rows_.end - row);
      if (regular && sum_regular({row, row + rows}, out + done * sum_pitch_)) {
        done += rows;
      } else {
        sum_row(row, out + done * sum_pitch_);
        ++done;
      }
    }
  }

  // Rows with the same phase are read by the same taps, of outputs one row on: they are summed in one go. False, with
  // nothing written, where those do not follow each other in scratch.
  bool sum_regular(Span rows, T* out) {
    const Span outputs = readers_h_.outputs_over(rows);
    if (!direct_) {
      stage(outputs);
      if (staged_.together(outputs.begin) < outputs.size()) return false;
    }
    const int64_t stride = blur_.h.stride, y_pitch = direct_ ? blur_.y.row_stride : staged_.pitch();
    for (int64_t e = 0; e < std::min(stride, rows.size()); ++e) {
      const int64_t row = rows.begin + e;
      RowSummer<T> summer =
          height_summer(out + e * sum_pitch_, divide_up(rows.size() - e, stride), stride * sum_pitch_, y_pitch);
      for (int64_t p = readers_h_.first(row); p < readers_h_.first(row + 1); ++p) {
        const int64_t o = readers_h_.output(p);
        const T* source = direct_ ? row_in<T>(blur_.y, item_, o, outputs_.begin) : staged_.at(o);
        summer.add(source, taps_h_.at(item_.c, readers_h_.tap(p)));
      }
      summer.finish();
    }
    return true;
  }

  // Any row.
  void sum_row(int64_t row, T* out) {
    RowSummer<T> summer = height_summer(out, 1, 0, 0);
    int apart = 0;
    for (int64_t p = readers_h_.first(row); p < readers_h_.first(row + 1); ++p) {
      const int64_t o = readers_h_.output(p);
      const T* source = nullptr;
      if (direct_) {
        source = row_in<T>(blur_.y, item_, o, outputs_.begin);
      } else if (staged_.holds(o)) {
        source = staged_.at(o);
      } else {
        if (apart == kRowsAtOnce) summer.flush();
        apart = apart % kRowsAtOnce + 1;
        stage_rows(blur_.y, item_, {o, o + 1}, outputs_, step_, T(0), apart_.at(apart - 1), 0);
        source = apart_.at(apart - 1);
      }
      summer.add(source, taps_h_.at(item_.c, readers_h_.tap(p)));
    }
    summer.finish();
  }

  void stage(Span rows) {
    staged_.ensure(rows, [&](int64_t first, int64_t count, T* out) {
      stage_rows(blur_.y, item_, {first, first + count}, outputs_, step_, T(0), out, staged_.pitch());
    });
  }
  RowSummer<T> height_summer(T* out, int64_t rows, int64_t out_step, int64_t rows_step) const {
    // Beyond the outputs of a planar row stand zeros that have to stay.
    if (taps_h_.in_lanes()) return {out, step_, outputs_.size(), step_, step_, {false, false}, true};
    return {out, outputs_.size() * step_, rows, out_step, rows_step, {!direct_, interleaved_}};
  }

  // --- planes that fit registers row by row --------------------------------------------------------------------------

  void take_narrow(Arena<T>& arena) {
    outputs_ = {0, blur_.w.outputs};
    spread_ = NarrowSpread<T>(blur_, arena);
    pitch_ = spread_.pitch();
    block_ = std::clamp<int64_t>(kBlockElements / pitch_, 1, blur_.h.size);
    padded_ = arena.take(block_ * pitch_);
  }

  const T* spread_narrow(int64_t i, int64_t count) {
    spread_narrow_into({i, i + count}, padded_, pitch_, false);
    return padded_;
  }

  void spread_narrow_into(Span rows, T* out, int64_t pitch, bool exact) {
    if (!direct_) stage({0, blur_.h.outputs});
    const T* first = direct_ ? row_in<T>(blur_.y, item_, 0, 0) : staged_.at(0);
    const T* taps = taps_h_.at(item_.c, 0);
    const int64_t y_pitch = direct_ ? blur_.y.row_stride : staged_.pitch(), n = outputs_.size();
    const Readers readers = readers_h_;
    const auto sum_of = [=](int64_t row) FREQOPS_INLINED {
      vector_of<T> sums{};
      for (int64_t p = readers.first(row); p < readers.first(row + 1); ++p) {
        sums += taps[readers.tap(p)] * load_first(first + readers.output(p) * y_pitch, n);
      }
      return sums;
    };
    spread_.run(rows, sum_of, out, pitch, exact);
  }

  // --- planes that lie apart ----------------------------------------------------------------------------------------
  //
  // Position q of the padded axis, counted from the first padding sample, is q = stride a + e. For each phase e the sum
  // over outputs is an FIR filter of the row of scratch; the phases are then interleaved, and what fell on padding is
  // added to the samples that stand for it.

  void take_planar(Arena<T>& arena) {
    const BlurAxis& w = blur_.w;
    outputs_ = {0, w.outputs};
    const int64_t positions = (w.outputs - 1) * w.stride + w.taps;
    const int64_t reach = divide_up(w.taps, w.stride);
    first_ = w.before < 0 ? -divide_up(-w.before, w.stride) : 0;
    phase_ = divide_up(std::max(positions, w.before + w.size) - first_ * w.stride, w.stride);
    if (w.stride <= 2) phase_ = round_up(phase_, kLanes<T>);
    pitch_ = phase_ * w.stride;
    block_ = std::clamp<int64_t>(kBlockElements / pitch_, 1, kMostBlockRows);
    lead_ = reach - first_;
    sum_pitch_ = lead_ + std::max(w.outputs, first_ + phase_);
    sums_ = arena.take(block_ * sum_pitch_);
    phases_ = arena.take(block_ * pitch_);
    padded_ = w.stride == 1 ? phases_ : arena.take(block_ * pitch_);
    const int64_t after = std::max<int64_t>(0, positions - w.before - w.size);
    folds_ = arena.template take_as<int32_t>(2 * (std::max<int64_t>(0, w.before) + after));
    if (!sums_) return;
    fill(sums_, block_ * sum_pitch_, T(0));
    for (int64_t q = 0; q < positions; ++q) {
      if (q == std::max<int64_t>(w.before, 0)) q = std::max(q, std::min(positions, w.before + w.size));
      if (q >= positions) break;
      const int64_t sample = source_index(q - w.before, w.size, w.mode);
      if (sample < 0) continue;
      folds_[2 * fold_count_] = static_cast<int32_t>(sample + w.before - first_ * w.stride);
      folds_[2 * fold_count_++ + 1] = static_cast<int32_t>(q - first_ * w.stride);
    }
  }

  const T* spread_planar(int64_t i, int64_t count) {
    const BlurAxis& w = blur_.w;
    sum_height(i, count, sums_ + lead_);
    for (int64_t e = 0; e < w.stride; ++e) {
      RowSummer<T> summer(phases_ + e * block_ * phase_, phase_, count, phase_, sum_pitch_, {true, false});
      for (int64_t j = e; j < w.taps; j += w.stride) {
        summer.add(sums_ + lead_ + first_ - j / w.stride, taps_w_.at(item_.c, j));
      }
      summer.finish();
    }
    join_phases(count);
    for (int64_t f = 0; f < fold_count_; ++f) {
      T *target = padded_ + folds_[2 * f], *source = padded_ + folds_[2 * f + 1];
      for (int64_t b = 0; b < count; ++b) target[b * pitch_] += source[b * pitch_];
    }
    return padded_ + w.before - first_ * w.stride;
  }

  void join_phases(int64_t count) {
    const int64_t stride = blur_.w.stride, n = count * phase_;
    if (stride == 1) return;
    const T* phases = phases_;
    if (stride == 2) {
      for (int64_t a = 0; a < n; a += kLanes<T>) interleave(phases + a, phases + block_ * phase_ + a, padded_ + 2 * a);
      return;
    }
    for (int64_t e = 0; e < stride; ++e) {
      for (int64_t a = 0; a < n; ++a) padded_[a * stride + e] = phases[e * block_ * phase_ + a];
    }
  }

  // --- channels_last ------------------------------------------------------------------------------------------------

  void take_interleaved(int64_t step, Arena<T>& arena) {
    pitch_ = pitch_for<T>(blur_.w.size * step);
    block_ = std::clamp<int64_t>(kBlockElements / pitch_, 1, kMostBlockRows);
    sum_pitch_ = pitch_for<T>(blur_.w.outputs * step);
    sums_ = arena.take(block_ * sum_pitch_);
    padded_ = arena.take(block_ * pitch_);
  }

  // The outputs that these columns need, and which columns in the middle all have neighbours like each other's.
  void find_columns() {
    readers_w_.find(columns_);
    outputs_ = {blur_.w.outputs, 0};
    for (int64_t p = 0; p < readers_w_.first(columns_.end); ++p) {
      outputs_.begin = std::min(outputs_.begin, readers_w_.output(p));
      outputs_.end = std::max(outputs_.end, readers_w_.output(p) + 1);
    }
    if (outputs_.size() < 0) outputs_ = {0, 0};
    regular_ = readers_w_.regular();
  }

  const T* spread_interleaved(int64_t i, int64_t count) {
    sum_height(i, count, sums_);
    for (int64_t b = 0; b < count; ++b) {
      for (int64_t column = columns_.begin; column < regular_.begin; ++column) sum_pixels(b, column, 1);
      for (int64_t e = 0; e < std::min(blur_.w.stride, regular_.size()); ++e) {
        sum_pixels(b, regular_.begin + e, divide_up(regular_.size() - e, blur_.w.stride));
      }
      for (int64_t column = regular_.end; column < columns_.end; ++column) sum_pixels(b, column, 1);
    }
    return padded_;
  }

  // This column of row b of the block, and those after it, stride apart.
  void sum_pixels(int64_t b, int64_t column, int64_t repeats) {
    T* out = padded_ + b * pitch_ + (column - columns_.begin) * step_;
    RowSummer<T> summer(out, step_, repeats, blur_.w.stride * step_, step_, {true, false}, taps_w_.in_lanes());
    for (int64_t p = readers_w_.first(column); p < readers_w_.first(column + 1); ++p) {
      const T* pixel = sums_ + b * sum_pitch_ + (readers_w_.output(p) - outputs_.begin) * step_;
      summer.add(pixel, taps_w_.at(item_.c, readers_w_.tap(p)));
    }
    summer.finish();
  }

  const BlurPool& blur_;
  bool interleaved_, is_narrow_ = false, direct_ = false;
  NarrowSpread<T> spread_;
  Arena<T> nothing_{nullptr};
  Taps<T> taps_h_, taps_w_;
  Readers readers_h_, readers_w_;
  RowRing<T> staged_, apart_;
  T *sums_ = nullptr, *phases_ = nullptr, *padded_ = nullptr;
  int32_t* folds_ = nullptr;
  int64_t fold_count_ = 0;
  int64_t first_ = 0, phase_ = 0, lead_ = 0, sum_pitch_ = 0, pitch_ = 0, block_ = 1;

  PoolItem item_{};
  int64_t step_ = 1;
  Span columns_{0, 0}, outputs_{0, 0}, regular_{0, 0}, regular_rows_{0, 0};
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
