// The response as the even_odd kernels read it: half the sum and half the difference of the gains at
// kw and at kw + W / 2, for the first frequency of each pair (k, -k) only.
#pragma once

#include <cstdint>

#include "response_table.cuh"

namespace freqops::cuda {

template <class Gain>
struct alignas(2 * sizeof(Gain)) GainPair {
  Gain sum, difference;
};

// Fills table[plane][line][column] with the lines of EvenOddPlan::kTableLines. The factor of the
// inverse transform over H and W / 2 is folded in.
template <class Gain>
struct EvenOddTableFill {
  static constexpr int kThreads = 256, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    HalfResponse response;
    AxisOrder rows, columns;  // of one block
    int blocks;
    int64_t planes;
    GainPair<Gain>* table;
    FREQOPS_HOST_DEVICE int lines() const { return response.height / 2 + rows.radix[1]; }
    FREQOPS_HOST_DEVICE int64_t entries() const { return planes * lines() * columns.length; }
  };

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t i = static_cast<int64_t>(index) * kThreads + thread;
      if (i < arguments.entries()) arguments.table[i] = entry(arguments, i);
    });
  }

 private:
  static FREQOPS_HOST_DEVICE GainPair<Gain> entry(const Arguments& arguments, int64_t i) {
    const int64_t line_of_all = i / arguments.columns.length, plane = line_of_all / arguments.lines();
    const int line = static_cast<int>(line_of_all % arguments.lines());
    // Block 0 has the first half of its rows and one butterfly more, the others half their rows.
    const int half = arguments.rows.length / 2, extra = arguments.rows.radix[1];
    const int rank = line < half + extra ? 0 : (line - extra) / half;
    const int row = rank == 0 ? line : (line - extra) % half;
    const int kh = rank + arguments.blocks * arguments.rows.frequency(row);
    const int kw = arguments.columns.frequency(static_cast<int>(i % arguments.columns.length));

    const Complex<float> low = arguments.response.at(plane, kh, kw);
    const Complex<float> high = arguments.response.at(plane, kh, kw + arguments.columns.length);
    // Half of the sum, so that it cannot overflow, over half of HW: divided, not multiplied by a
    // reciprocal.
    const float elements = static_cast<float>(arguments.response.height) * static_cast<float>(arguments.columns.length);
    const auto scaled = [&](float a, float b) { return (0.5f * a + 0.5f * b) / elements; };
    GainPair<Gain> pair;
    store_gain({scaled(low.re, high.re), scaled(low.im, high.im)}, pair.sum);
    store_gain({scaled(low.re, -high.re), scaled(low.im, -high.im)}, pair.difference);
    return pair;
  }
};

}  // namespace freqops::cuda
