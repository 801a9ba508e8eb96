// How a block or a cluster of blocks keeps one plane in shared memory, even and odd columns as real
// and imaginary part, and every size that is compiled.
#pragma once

#include <cstdint>

#include "axis.h"
#include "plane_plan.cuh"

namespace freqops::cuda {

// A block has AxisH::kLength rows of the plane, Blocks of them the whole plane. AxisW is the axis of
// the complex columns, half as long as a row. BlocksPerSm is what the register budget is made for;
// devices with less shared memory run fewer.
template <class AxisH_, class AxisW_, int Blocks, int Threads, int BlocksPerSm>
struct EvenOddPlan {
  using AxisH = AxisH_;
  using AxisW = AxisW_;
  // Over H, the first of all stages: one element from each block.
  using AxisAcross = Axis<Blocks, AxisH::kLength>;
  static constexpr int kBlocks = Blocks, kThreads = Threads, kBlocksPerSm = BlocksPerSm;
  static constexpr int kRows = AxisH::kLength, kColumns = AxisW::kLength;
  static constexpr int kHeight = Blocks * kRows, kWidth = 2 * kColumns, kPixels = kHeight * kWidth;

  // Shared memory has 16 banks of one complex value. Neighbouring threads work on neighbouring rows
  // or columns; the odd pitch keeps them out of each other's banks.
  static constexpr int kPitch = kColumns | 1;

  // The pair step. What frequencies (kh, kw) and (-kh, -kw) are, in positions: block r has
  // kh = r + Blocks (b + Radix0 j) in row b Radix1 + j of its own. Then -kh lies
  //   in block Blocks - r, row (Radix0 - 1 - b) Radix1 + (Radix1 - 1 - j),  if r > 0,
  //   in block 0,          row (Radix0 - b) Radix1 + (Radix1 - 1 - j),      if r = 0 and b > 0,
  //   in block 0,          row (Radix1 - j) % Radix1,                       if r = b = 0.
  // So the mirror image of a whole butterfly of the last stage over H is another one. Each block takes
  // those with b below Radix0 / 2. In block 0, b = 0 and b = Radix0 / 2 are mirrored onto themselves:
  // half of their columns are taken.
  static constexpr int kRadix0 = AxisH::kRadix0, kRadix1 = AxisH::kRadix1, kHalf = kRadix0 / 2;
  struct ButterflyPair {
    int butterfly, column;
    int mirrored_butterfly, mirrored_column;
  };
  // Block 0 has two more: kw = 0 and kw = W / 4 are their own mirrors, which half of the columns do
  // not pair off, in both of these butterflies.
  static FREQOPS_CONSTEXPR int pairs(int rank) { return kHalf * kColumns + (rank == 0 ? 2 : 0); }
  static FREQOPS_CONSTEXPR ButterflyPair pair(int rank, int index) {
    constexpr int kWhole = (kHalf - 1) * kColumns, kListed = kColumns / 2 + 1;
    if (rank > 0 || index < kWhole) {
      const int butterfly = index / kColumns + (rank == 0), column = index % kColumns;
      return {butterfly, column, rank == 0 ? kRadix0 - butterfly : kRadix0 - 1 - butterfly, mirrored_column(column)};
    }
    const bool middle = index < kWhole + kListed;
    const int butterfly = middle ? kHalf : 0, column = listed_column(index - kWhole - (middle ? 0 : kListed));
    return {butterfly, column, butterfly, mirrored_column(column)};
  }

  // The response table has a line of kColumns entries for each row of a block that is the first of a
  // pair: kRows / 2 of them, and the rows of the middle butterfly in block 0.
  static constexpr int kTableLines = kHeight / 2 + kRadix1;
  static FREQOPS_CONSTEXPR int first_table_line(int rank) { return rank == 0 ? 0 : rank * (kRows / 2) + kRadix1; }

  static_assert(AxisH::kTwoStages && AxisW::kTwoStages && kRadix0 % 2 == 0);
  static_assert(kColumns % 2 == 0 && AxisW::kRadix1 % 2 == 0, "mirrored_column and listed_column rely on it");
  static_assert(Threads % AxisW::kSpan == 0, "a thread keeps its twiddles in registers");

 private:
  // Where -kw lies if kw lies at `column`.
  static FREQOPS_CONSTEXPR int mirrored_column(int column) {
    if (column == 0) return 0;
    return column < AxisW::kRadix1 ? AxisW::kRadix1 - column : kColumns + AxisW::kRadix1 - 1 - column;
  }
  // One column of each pair of mirrored ones, and both that are their own mirrors.
  static FREQOPS_CONSTEXPR int listed_column(int index) {
    return index <= AxisW::kRadix1 / 2 ? index : index + AxisW::kRadix1 / 2 - 1;
  }
};

// Of one block.
template <class Plan>
struct EvenOddShared {
  Complex<float> roots_w[Plan::kColumns];
  Complex<float> roots_h[Plan::kHeight];
  Complex<float> unpack[Plan::kColumns];  // exp(-2 pi i kw / W), in position order
  Complex<float> plane[Plan::kRows * Plan::kPitch];
  int64_t first_pixel;   // of this block's rows, in elements of x and y
  int64_t first_entry;   // of the plane's response, in entries of the table
  Complex<float>* work;  // this block's part of the work memory
};

// Every size that is compiled. Blocks of a cluster read each other's shared memory, which compute
// capability 9.0 and later have.
// clang-format off
//                                          rows          columns   blocks threads blocks per SM
using EvenOddPlans = PlanList<EvenOddPlan<Axis<14, 8>,  Axis<7, 8>,   1,   256, 3>,    // 112
                              EvenOddPlan<Axis<16, 8>,  Axis<8, 8>,   1,   256, 3>,    // 128
                              EvenOddPlan<Axis<20, 8>,  Axis<5, 16>,  1,   384, 2>,    // 160
                              EvenOddPlan<Axis<24, 8>,  Axis<6, 16>,  1,   512, 1>,    // 192
                              EvenOddPlan<Axis<28, 8>,  Axis<7, 16>,  1,   512, 1>,    // 224
                              EvenOddPlan<Axis<16, 8>,  Axis<8, 16>,  2,   512, 1>,    // 256
                              EvenOddPlan<Axis<10, 8>,  Axis<10, 16>, 4,   320, 2>,    // 320
                              EvenOddPlan<Axis<12, 8>,  Axis<12, 16>, 4,   512, 1>,    // 384
                              EvenOddPlan<Axis<10, 6>,  Axis<15, 16>, 8,   512, 1>,    // 480
                              EvenOddPlan<Axis<8, 8>,   Axis<16, 16>, 8,   512, 1>>;   // 512
// clang-format on

}  // namespace freqops::cuda
