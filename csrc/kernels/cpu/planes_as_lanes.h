// The filter of many small planes (or rows, as planes of height 1): lane i belongs to plane i, so planes of any shape
// fill whole vectors. 2 kLanes planes are packed as the real and imaginary parts of kLanes complex ones.
#pragma once

#include "../fft_filter.h"
#include "filter_task.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {

template <class T>
inline constexpr int kGroup = 2 * kLanes<T>;

template <class T>
class GroupFilter {
 public:
  GroupFilter(const FilterBank<T>& bank, Arena<T>& arena)
      : bank_(bank), height_(bank.plan_h->length), width_(bank.plan_w->length), elements_(height_ * width_) {
    const size_t lines = size_t(std::max(elements_, kLanes<T>)) * kLanes<T>;
    work_ = arena.take_lines(lines, kLanes<T>);
    spectrum_ = bank.responses > 1 ? arena.take_lines(lines, kLanes<T>) : work_;
    generic_ = arena.take(
        std::max(generic_scratch_elements<T>(bank.plan_h->generic), generic_scratch_elements<T>(bank.plan_w->generic)));
    unwanted_ = arena.take(std::max(elements_, kLanes<T>));
  }

  // False, with nothing written, where a plane that is not finite would spoil its partner.
  template <class Finish>
  bool run(const FilterTask<T, kGroup<T>>& task, bool check_finite, Finish&& finish) {
    load_planes(task);
    const Lines<T> columns = columns_of(spectrum_);
    forward(*bank_.plan_h, columns, columns, keep_all(*bank_.plan_h), {columns, generic_}, width_, false);
    if (check_finite && !is_finite()) return false;
    for_each_kept_run(bank_.kept[task.channel].slot,
                      [&](int first, int rows) { forward_but_last(*bank_.plan_w, row_of(spectrum_, first), rows); });
    for (int r = 0; r < bank_.responses; ++r) {
      respond(bank_.tables[r * bank_.response_channels + task.channel]);
      store_planes(task, r);
      finish(r);
    }
    return true;
  }

 private:
  Lines<T> row_of(Lines<T> x, int h) const {
    const ptrdiff_t offset = static_cast<ptrdiff_t>(h) * width_ * kLanes<T>;
    return {x.re + offset, x.im + offset, kLanes<T>};
  }
  // All columns side by side.
  Lines<T> columns_of(Lines<T> x) const { return {x.re, x.im, static_cast<ptrdiff_t>(width_) * kLanes<T>}; }

  // Calls visit(first, count) for the runs of consecutive rows that are kept.
  template <class Visit>
  void for_each_kept_run(const int32_t* slot, Visit&& visit) const {
    for (int first = 0; first < height_;) {
      int end = first;
      while (end < height_ && slot[end] >= 0) ++end;
      if (end > first) visit(first, end - first);
      first = end + 1;
    }
  }

  void respond(const ResponseTable<T>& table) {
    for_each_kept_run(table.slot, [&](int first, int rows) {
      const ptrdiff_t offset = static_cast<ptrdiff_t>(first) * width_;
      const LineGain<T> gain{table.re + offset, table.im ? table.im + offset : nullptr, Gain::kBroadcast,
                             table.outputs_w};
      filter_after_first(*bank_.plan_w, row_of(spectrum_, first), row_of(work_, first), gain, generic_, rows);
    });
    const Lines<T> columns = columns_of(work_);
    inverse(*bank_.plan_h, columns, columns, {table.slot, table.outputs_h}, {columns, generic_}, width_, false);
  }

  void load_planes(const FilterTask<T, kGroup<T>>& task) {
    for_each_column_block<T>(elements_, [&](int e) {
      T *re = spectrum_.re + e * kLanes<T>, *im = spectrum_.im + e * kLanes<T>;
      transpose_square<T>([&](int i) { return task.in[i] + e; }, [=](int i) { return re + i * kLanes<T>; });
      transpose_square<T>([&](int i) { return task.in[kLanes<T> + i] + e; }, [=](int i) { return im + i * kLanes<T>; });
    });
  }

  void store_planes(const FilterTask<T, kGroup<T>>& task, int r) {
    T* out[kGroup<T>];
    for (int i = 0; i < kGroup<T>; ++i) out[i] = task.wanted[i] ? task.out[i] + r * task.response_stride : unwanted_;
    for_each_column_block<T>(elements_, [&](int e) {
      const T *re = work_.re + e * kLanes<T>, *im = work_.im + e * kLanes<T>;
      transpose_square<T>([=](int i) { return re + i * kLanes<T>; }, [&](int i) { return out[i] + e; });
      transpose_square<T>([=](int i) { return im + i * kLanes<T>; }, [&](int i) { return out[kLanes<T> + i] + e; });
    });
  }

  // Row 0 holds the sums over the columns, lane by lane.
  bool is_finite() const {
    vector_of<T> sum{};
    for (int w = 0; w < width_; ++w) {
      sum += load<T>(spectrum_.re + w * kLanes<T>) * 0 + load<T>(spectrum_.im + w * kLanes<T>) * 0;
    }
    T total = 0;
    for (int i = 0; i < kLanes<T>; ++i) total += sum[i];
    return total == 0;
  }

  const FilterBank<T>& bank_;
  int height_, width_, elements_;
  Lines<T> work_, spectrum_;
  T* generic_;
  T* unwanted_;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
