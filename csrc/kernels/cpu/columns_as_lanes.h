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
    forward_columns(*bank_.plan_h, width(), task.in[0], task.in[1], task.stride, {kept.slot, kept.outputs}, work_,
                    true);
    if (check_finite && !(sum_is_finite(work_.rows.re, width()) && sum_is_finite(work_.rows.im, width()))) {
      return false;
    }
    if (bank_.responses > 1) save_spectrum(kept);
    for (int r = 0; r < bank_.responses; ++r) {
      const ResponseTable<T>& table = bank_.tables[r * bank_.response_channels + task.channel];
      const int blocks = row_blocks<T>(table.slots);
      for (int block = 0; block < blocks; block += work_.blocks) {
        const int n = std::min(work_.blocks, blocks - block);
        if (bank_.responses == 1) load_lines(block, n, work_.line.lines);
        if (task.next && r == 0) prefetch_share(task.next, task.next_elements, block, n, blocks);
        respond(table, block, n);
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

  // Elements between two row blocks in lines, spectra and tables alike.
  ptrdiff_t block_elements() const { return static_cast<ptrdiff_t>(std::max(width(), kLanes<T>)) * kLanes<T>; }
  Lines<T> at_block(Lines<T> x, int block) const {
    return {x.re + block * block_elements(), x.im + block * block_elements(), kLanes<T>};
  }

  // Row blocks [first, first + n) of the workspace, up to the last forward stage, as consecutive lines.
  void load_lines(int first, int n, Lines<T> lines) {
    for (int i = 0; i < n; ++i) {
      rows_to_lines(work_, first + i, width(), at_block(lines, i));
      turn_lines(step(), at_block(lines, i), first + i, width(), T{-1});
    }
    if (width() >= kLanes<T>) {
      forward_but_last(*bank_.plan_w, lines, n);
    } else {
      for (int i = 0; i < n; ++i) forward_but_last(*bank_.plan_w, at_block(lines, i), 1);
    }
  }

  void save_spectrum(const KeptRows& kept) {
    const int blocks = row_blocks<T>(kept.slots);
    for (int block = 0; block < blocks; block += work_.blocks) {
      load_lines(block, std::min(work_.blocks, blocks - block), at_block(spectrum_, block));
    }
  }

  void respond(const ResponseTable<T>& table, int first, int n) {
    const Lines<T> in = bank_.responses > 1 ? at_block(spectrum_, first) : work_.line.lines;
    const Lines<T> lines = work_.line.lines;
    const ptrdiff_t table_block = static_cast<ptrdiff_t>(width()) * kLanes<T>;
    const auto filter = [&](int block, int count) {
      const ptrdiff_t offset = (first + block) * table_block;
      const LineGain<T> gain{table.re + offset, table.im ? table.im + offset : nullptr, Gain::kPerLane,
                             table.outputs_w};
      filter_after_first(*bank_.plan_w, at_block(in, block), at_block(lines, block), gain, work_.line.generic, count);
    };
    // Lines narrower than a vector are padded, so they do not follow each other without a gap.
    if (width() >= kLanes<T>) {
      filter(0, n);
    } else {
      for (int i = 0; i < n; ++i) filter(i, 1);
    }
    for (int i = 0; i < n; ++i) {
      turn_lines(step(), at_block(lines, i), first + i, width(), T{1});
      lines_to_rows(work_, first + i, width(), at_block(lines, i));
    }
  }

  // Spreads the fetching of the next pair over the rows of this one.
  static void prefetch_share(const T* next, size_t elements, int first, int n, int parts) {
    constexpr size_t kCacheLine = 64 / sizeof(T);
    const size_t end = elements * (first + n) / parts;
    for (size_t i = elements * first / parts; i < end; i += kCacheLine) __builtin_prefetch(next + i, 0, 2);
  }

  const FilterBank<T>& bank_;
  PairWorkspace<T> work_;
  Lines<T> spectrum_;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
