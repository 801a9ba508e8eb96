// The fused filter of one pair of planes: forward, response, inverse while the pair stays in the cache.
#pragma once

#include "../fft_filter.h"
#include "filter_task.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {

template <class T>
class PairFilter {
 public:
  PairFilter(const FilterBank<T>& bank, Arena<T>& arena) : bank_(bank) {
    int slots = 0;
    for (int64_t c = 0; c < bank.response_channels; ++c) slots = std::max(slots, bank.kept[c].slots);
    work_ = take_workspace(arena, *bank.plan_h, *bank.plan_w, slots);
    spectrum_ = work_.line.lines;
    if (bank.responses > 1) spectrum_ = arena.take_lines(spectrum_elements<T>(slots, bank.plan_w->length), kLanes<T>);
  }

  // False, with nothing written, where the two planes would spoil each other: one of them is not finite.
  // finish(r) is called when the planes of response r are complete.
  template <class Finish>
  bool run(const FilterTask<T, 2>& task, bool check_finite, Finish&& finish) {
    const KeptRows& kept = bank_.kept[task.channel];
    forward_columns(*bank_.plan_h, width(), task.in[0], task.in[1], task.stride, {kept.slot, kept.outputs}, work_, true);
    if (check_finite && !(sum_is_finite(work_.rows.re, width()) && sum_is_finite(work_.rows.im, width()))) {
      return false;
    }
    if (bank_.responses > 1) save_spectrum(kept);
    for (int r = 0; r < bank_.responses; ++r) {
      const ResponseTable<T>& table = bank_.tables[r * bank_.response_channels + task.channel];
      const int blocks = row_blocks<T>(table.slots);
      for (int block = 0; block < blocks; ++block) {
        if (bank_.responses == 1) load_lines(block, work_.line.lines);
        if (task.next && r == 0) prefetch_share(task.next, task.next_elements, block, blocks);
        respond(table, block);
      }
      T* a = task.out[0] + r * task.response_stride;
      T* b = task.out[1] + r * task.response_stride;
      const bool both = task.wanted[0] && task.wanted[1];
      // The same plane twice gives the same result twice: an unwanted one is written under the wanted one.
      inverse_columns(*bank_.plan_h, width(), task.wanted[0] ? a : b, task.wanted[1] ? b : a, task.stride,
                      {table.slot, table.outputs_h}, work_, bank_.stream && both);
      finish(r);
    }
    return true;
  }

 private:
  int width() const { return bank_.plan_w->length; }
  FourStep<T> step() const { return {bank_.step_cos, bank_.step_sin}; }

  void load_lines(int block, Lines<T> lines) {
    rows_to_lines(work_, block, width(), lines);
    turn_lines(step(), lines, block, width(), T{-1});
    forward_but_last(*bank_.plan_w, lines);
  }

  void save_spectrum(const KeptRows& kept) {
    for (int block = 0; block < row_blocks<T>(kept.slots); ++block) {
      load_lines(block, spectrum_block(spectrum_, block, width()));
    }
  }

  void respond(const ResponseTable<T>& table, int block) {
    const Lines<T> in = bank_.responses > 1 ? spectrum_block(spectrum_, block, width()) : work_.line.lines;
    const Lines<T> lines = work_.line.lines;
    const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * width() * kLanes<T>;
    const LineGain<T> gain{table.re + offset, table.im ? table.im + offset : nullptr, Gain::kPerLane, table.outputs_w};
    filter_after_first(*bank_.plan_w, in, lines, gain, work_.line.generic);
    turn_lines(step(), lines, block, width(), T{1});
    lines_to_rows(work_, block, width(), lines);
  }

  // Spreads the fetching of the next pair over the rows of this one.
  static void prefetch_share(const T* next, size_t elements, int part, int parts) {
    constexpr size_t kCacheLine = 64 / sizeof(T);
    const size_t end = elements * (part + 1) / parts;
    for (size_t i = elements * part / parts; i < end; i += kCacheLine) __builtin_prefetch(next + i, 0, 2);
  }

  const FilterBank<T>& bank_;
  PairWorkspace<T> work_;
  Lines<T> spectrum_;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
