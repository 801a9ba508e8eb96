// The transform of a pair of real planes, packed as the real and imaginary part of one complex plane. The filter is
// linear and its response Hermitian, so the two never need to be told apart.
//
// Columns first, kLanes adjacent ones at a time (no shuffle, whole cache lines); then the kept rows, kLanes at a time,
// transposed into contiguous lines. A spectrum is stored as those lines: [row block][column position][lane].
#pragma once

#include <algorithm>

#include "arena.h"
#include "lane_transform.h"
#include "staging.h"

namespace freqops::cpu::FREQOPS_LEVEL {

template <class T>
struct PairWorkspace {
  Lines<T> rows;  // kept rows, element stride between rows; padded to whole blocks of kLanes rows
  AxisScratch<T> line;
  int columns;  // column blocks that are transformed together
  int blocks;   // row blocks that are transformed together
};

// Short lines are transformed several at a time, as many as stay in the first-level cache.
template <class T>
int lines_together(int length) {
  constexpr int kCacheShare = 32 << 10;
  return std::max<int>(1, kCacheShare / (2 * sizeof(T) * kLanes<T> * length));
}

template <class T>
int row_blocks(int slots) {
  return (slots + kLanes<T> - 1) / kLanes<T>;
}

// A row stride that is not a multiple of 1 KiB, so that a column of rows does not fall into one cache set.
template <class T>
ptrdiff_t row_stride(int width) {
  const ptrdiff_t stride = staged_stride<T>(width);
  return stride * sizeof(T) % 1024 == 0 ? stride + kLanes<T> : stride;
}

template <class T>
PairWorkspace<T> take_workspace(Arena<T>& arena, const AxisPlan<T>& plan_h, const AxisPlan<T>& plan_w, int slots) {
  const ptrdiff_t stride = row_stride<T>(plan_w.length);
  PairWorkspace<T> work;
  work.rows = arena.take_lines(size_t(row_blocks<T>(slots)) * kLanes<T> * stride, stride);
  work.columns = std::min(lines_together<T>(plan_h.length), std::max(1, plan_w.length / kLanes<T>));
  work.blocks = std::min(lines_together<T>(plan_w.length), row_blocks<T>(slots));
  const size_t lines = std::max({plan_h.length * work.columns, std::max(plan_w.length, kLanes<T>) * work.blocks});
  work.line.lines = arena.take_lines(lines * kLanes<T>, kLanes<T>);
  work.line.generic =
      arena.take(std::max(generic_scratch_elements<T>(plan_h.generic), generic_scratch_elements<T>(plan_w.generic)));
  return work;
}

// Elements of one spectrum in block layout.
template <class T>
size_t spectrum_elements(int slots, int width) {
  return size_t(row_blocks<T>(slots)) * kLanes<T> * std::max(width, kLanes<T>);
}

// Calls visit(c) for the blocks of kLanes columns that cover 0 .. width. The last one overlaps its neighbour where
// kLanes does not divide the width: it computes the same values again, which costs less than masks everywhere.
template <class T, class Visit>
void for_each_column_block(int width, Visit&& visit) {
  int c = 0;
  for (; c + kLanes<T> <= width; c += kLanes<T>) visit(c);
  if (c < width) visit(std::max(0, width - kLanes<T>));
}

// Calls visit(c, n) for runs of n whole column blocks that are transformed together.
template <class T, class Visit>
void for_each_column_run(int width, int together, Visit&& visit) {
  int c = 0;
  while (c + kLanes<T> <= width) {
    const int n = std::min(together, (width - c) / kLanes<T>);
    visit(c, n);
    c += n * kLanes<T>;
  }
  if (c < width) visit(std::max(0, width - kLanes<T>), 1);
}

// The scratch of a run of n columns: an element holds one vector per column.
template <class T>
AxisScratch<T> column_scratch(const PairWorkspace<T>& work, int n) {
  return {{work.line.lines.re, work.line.lines.im, static_cast<ptrdiff_t>(n) * kLanes<T>}, work.line.generic};
}

template <class T>
void forward_columns(const AxisPlan<T>& plan, int width, const T* a, const T* b, ptrdiff_t stride, Kept kept,
                     const PairWorkspace<T>& work, bool prefetch) {
  for_each_column_run<T>(width, work.columns, [&](int c, int n) {
    // The transforms never write through their input.
    const Lines<T> in{const_cast<T*>(a) + c, const_cast<T*>(b) + c, stride};
    const Lines<T> out{work.rows.re + c, work.rows.im + c, work.rows.stride};
    forward(plan, in, out, kept, column_scratch(work, n), n, prefetch);
  });
}

template <class T>
void inverse_columns(const AxisPlan<T>& plan, int width, T* a, T* b, ptrdiff_t stride, Kept kept,
                     const PairWorkspace<T>& work, bool stream) {
  for_each_column_run<T>(width, work.columns, [&](int c, int n) {
    const Lines<T> in{work.rows.re + c, work.rows.im + c, work.rows.stride};
    inverse(plan, in, {a + c, b + c, stride}, kept, column_scratch(work, n), n, stream);
  });
}

// Between kLanes rows of the workspace and contiguous lines [column][lane].
template <class T>
void rows_to_lines(const PairWorkspace<T>& work, int block, int width, Lines<T> lines) {
  const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * kLanes<T> * work.rows.stride;
  for_each_column_block<T>(width, [&](int c) {
    transpose<T>(work.rows.re + offset + c, work.rows.stride, lines.re + c * kLanes<T>, kLanes<T>);
    transpose<T>(work.rows.im + offset + c, work.rows.stride, lines.im + c * kLanes<T>, kLanes<T>);
  });
}
template <class T>
void lines_to_rows(const PairWorkspace<T>& work, int block, int width, Lines<T> lines) {
  const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * kLanes<T> * work.rows.stride;
  for_each_column_block<T>(width, [&](int c) {
    transpose<T>(lines.re + c * kLanes<T>, kLanes<T>, work.rows.re + offset + c, work.rows.stride);
    transpose<T>(lines.im + c * kLanes<T>, kLanes<T>, work.rows.im + offset + c, work.rows.stride);
  });
}

template <class T>
Lines<T> spectrum_block(Lines<T> spectrum, int block, int width) {
  const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * std::max(width, kLanes<T>) * kLanes<T>;
  return {spectrum.re + offset, spectrum.im + offset, kLanes<T>};
}

// A long signal is transformed as a plane (four-step transform): between the two axes, element (k_h, n_w) turns by
// 2 pi k_h n_w / (HW). Null for real planes. [row block][n_w][lane]
template <class T>
struct FourStep {
  const T* cos;
  const T* sin;
};
template <class T>
void turn_lines(FourStep<T> step, Lines<T> lines, int block, int width, T sign) {
  if (!step.cos) return;
  const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * width * kLanes<T>;
  for (int e = 0; e < width; ++e) {
    const vector_of<T> c = load<T>(step.cos + offset + e * kLanes<T>);
    const vector_of<T> s = load<T>(step.sin + offset + e * kLanes<T>) * sign;
    store_complex(lines, e, multiply(load_complex(lines, e), {c, s}));
  }
}

// The whole complex spectrum of a pair, all rows kept, for operators that are no plain multiplication.
template <class T>
void forward_pair(const AxisPlan<T>& plan_h, const AxisPlan<T>& plan_w, const T* a, const T* b, ptrdiff_t stride,
                  Kept kept, FourStep<T> step, const PairWorkspace<T>& work, Lines<T> spectrum) {
  forward_columns(plan_h, plan_w.length, a, b, stride, kept, work, false);
  for (int block = 0; block < row_blocks<T>(plan_h.length); ++block) {
    const Lines<T> lines = spectrum_block(spectrum, block, plan_w.length);
    rows_to_lines(work, block, plan_w.length, lines);
    turn_lines(step, lines, block, plan_w.length, T{-1});
    forward(plan_w, lines, lines, keep_all(plan_w), {lines, work.line.generic}, 1, false);
  }
}
template <class T>
void inverse_pair(const AxisPlan<T>& plan_h, const AxisPlan<T>& plan_w, Lines<T> spectrum, T* a, T* b, ptrdiff_t stride,
                  const PairWorkspace<T>& work) {
  for (int block = 0; block < row_blocks<T>(plan_h.length); ++block) {
    const Lines<T> lines = spectrum_block(spectrum, block, plan_w.length);
    inverse(plan_w, lines, lines, keep_all(plan_w), {lines, work.line.generic}, 1, false);
    lines_to_rows(work, block, plan_w.length, lines);
  }
  inverse_columns(plan_h, plan_w.length, a, b, stride, keep_all(plan_h), work, false);
}

// False where the sum of `count` values is not finite. For row 0 of a spectrum, the sums over the columns, that is so
// where a pixel is not (or where finite pixels sum to more than a float holds).
template <class T>
bool sum_is_finite(const T* values, int count) {
  vector_of<T> sums{};
  int i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) sums += load<T>(values + i);
  T total = 0;
  for (; i < count; ++i) total += values[i];
  for (int lane = 0; lane < kLanes<T>; ++lane) total += sums[lane];
  return total - total == 0;
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
