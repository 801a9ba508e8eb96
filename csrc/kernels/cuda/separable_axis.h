// One axis of a separable map as the CUDA kernels sum it.
//
// Outputs come in pairs. Of a mirrored matrix they are y[m] and y[-m]: with e[n] = x[n] + x[-n] and o[n] = x[n] - x[-n],
// y[m] = p + q and y[-m] = p - q, where p sums e and q sums o, each with half the terms. Of any other matrix a pair is
// just two outputs, p and q, which both sum x. Four pairs that a thread sums at the same time are a tile; they are not
// neighbours: pair i of tile t is t + i * tiles, so that threads with neighbouring tiles write neighbouring outputs.
#pragma once

#include <cstdint>

#include "stencil.cuh"

namespace freqops::cuda {

inline constexpr int kTilePairs = 4, kTileSamples = 4;

constexpr int rounded_up(int count, int to) { return (count + to - 1) / to * to; }

template <class Value>
struct SeparableAxis {
  const Value* matrix;      // [outputs, size]
  const Value* functional;  // one more row, whose output stands behind the others; null: none
  int size, outputs;
  bool mirrored;

  int results;  // the outputs, and the functional's
  int pairs, tiles;
  int even, odd;  // samples that p and q sum, rounded up to kTileSamples; o[0] = 0 is one of them

  SeparableAxis() = default;
  SeparableAxis(const void* matrix, const void* functional, int64_t size, int64_t outputs, bool mirrored)
      : matrix(static_cast<const Value*>(matrix)),
        functional(static_cast<const Value*>(functional)),
        size(static_cast<int>(size)),
        outputs(static_cast<int>(outputs)),
        mirrored(mirrored),
        results(static_cast<int>(outputs) + (functional ? 1 : 0)),
        pairs(mirrored ? this->outputs / 2 + 1 + (functional ? 1 : 0) : (results + 1) / 2),
        tiles((pairs + kTilePairs - 1) / kTilePairs),
        even(rounded_up(mirrored ? this->size / 2 + 1 : this->size, kTileSamples)),
        odd(mirrored ? rounded_up((this->size + 1) / 2, kTileSamples) : even) {}

  // Samples of a line as it is staged, e before o; and where those that q sums begin.
  FREQOPS_HOST_DEVICE int staged() const { return mirrored ? even + odd : even; }
  FREQOPS_HOST_DEVICE int odd_at() const { return mirrored ? even : 0; }
  // Of a tile's weights lie those of all samples together, even before odd, then a gap for the banks of memory.
  FREQOPS_HOST_DEVICE int weights_step() const { return even + odd + 1; }
  // The sample that n is paired with, or -1.
  FREQOPS_HOST_DEVICE int partner(int n) const { return mirrored && n >= 1 && 2 * n < size ? size - n : -1; }
  // How many n there are that have no partner before them.
  FREQOPS_HOST_DEVICE int unpaired() const { return mirrored ? size / 2 + 1 : size; }

  // Which outputs a pair has, or -1: p + q and p - q, or p and q.
  FREQOPS_HOST_DEVICE int first_output(int pair) const {
    if (pair >= pairs) return -1;
    return mirrored && pair > outputs / 2 ? outputs : pair;
  }
  FREQOPS_HOST_DEVICE int second_output(int pair) const {
    if (mirrored) return pair >= 1 && 2 * pair < outputs ? outputs - pair : -1;
    return pair < pairs && pair + pairs < results ? pair + pairs : -1;
  }

  // The matrix itself with the functional below it; 0 outside.
  FREQOPS_HOST_DEVICE Value at(int output, int n) const {
    if (output >= results || n >= size) return 0;
    if (output >= outputs) return load_element(functional + n);
    const bool turned = mirrored && 2 * output > outputs;
    const int row = turned ? outputs - output : output, column = turned && n > 0 ? size - n : n;
    return load_element(matrix + int64_t{row} * size + column);
  }

  // What the sum number `half` (p or q) of a pair multiplies its sample n by.
  FREQOPS_HOST_DEVICE Value weight(int half, int pair, int n) const {
    const int output = mirrored || half == 0 ? first_output(pair) : second_output(pair);
    if (output < 0 || n >= unpaired()) return 0;
    const Value* row = output < outputs ? matrix + int64_t{output} * size : functional;
    const int other = partner(n);
    if (!mirrored || (half == 0 && other < 0)) return load_element(row + n);
    if (other < 0) return 0;
    const Value a = load_element(row + n), b = load_element(row + other);
    return (half == 0 ? a + b : a - b) / 2;
  }
};

template <class Value>
struct alignas(16) Four {
  Value at[4];
};

// sums[i][k] += sum over n < count of lines[i][n] * weights[n][k].
template <class Value>
FREQOPS_HOST_DEVICE void add_along(Value (&sums)[4][kTilePairs], const Value* const (&lines)[4],
                                   const Four<Value>* weights, int count) {
  const Value* from[4] = {lines[0], lines[1], lines[2], lines[3]};
  FREQOPS_ONE_TURN
  for (const Four<Value>* const end = weights + count; weights < end; weights += kTileSamples) {
    Four<Value> samples[4];
    static_for<4>([&](auto i) {
      samples[i] = *reinterpret_cast<const Four<Value>*>(from[i]);
      from[i] += kTileSamples;
    });
    static_for<kTileSamples>([&](auto j) FREQOPS_INLINED {
      const Four<Value> weight = weights[j];
      static_for<4>(
          [&](auto i) { static_for<kTilePairs>([&](auto k) { sums[i][k] += samples[i].at[j] * weight.at[k]; }); });
    });
  }
}

// From the sums p and q of a mirrored matrix' pairs to their first and second outputs.
template <class Value>
FREQOPS_HOST_DEVICE void finish_pairs(Value (&p)[4][kTilePairs], Value (&q)[4][kTilePairs]) {
  static_for<4>([&](auto i) {
    static_for<kTilePairs>([&](auto k) {
      const Value difference = p[i][k] - q[i][k];
      p[i][k] += q[i][k];
      q[i][k] = difference;
    });
  });
}

}  // namespace freqops::cuda
