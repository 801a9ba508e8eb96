// How a line of any length is transformed, planned at run time: in-place stages for lengths whose
// prime factors are at most 31, Bluestein's algorithm for the others, which makes a transform of
// length n a circular convolution of a length with small factors.
#pragma once

#include <cstdint>

#include "axis.h"

namespace freqops::cuda {

// n / divisor for 0 <= n < 2^31, without dividing.
struct Division {
  uint32_t divisor = 1, multiplier = 1, shift = 0;

  FREQOPS_HOST_DEVICE int quotient(int n) const {
    const auto value = static_cast<uint32_t>(n);
#if defined(__CUDA_ARCH__)
    const uint32_t high = __umulhi(value, multiplier);
#else
    const auto high = static_cast<uint32_t>(uint64_t{value} * multiplier >> 32);
#endif
    return static_cast<int>((high + value) >> shift);
  }
};
inline Division division_by(int divisor) {
  const auto d = static_cast<uint32_t>(divisor);
  uint32_t shift = 0;
  while ((uint64_t{1} << shift) < d) ++shift;
  return {d, static_cast<uint32_t>((((uint64_t{1} << shift) - d) << 32) / d + 1), shift};
}

// Butterflies of `radix` elements that lie `span` apart. Element j of the butterfly at offset o has
// the twiddle roots[j * o * root_step].
struct LineStage {
  int radix = 1, span = 1, root_step = 1;
  Division by_span;
};

struct LinePlan {
  int length = 1;
  int padded = 1;      // the length that the stages transform
  bool chirp = false;  // Bluestein: the result is in natural order
  int stages = 0;
  LineStage stage[AxisOrder::kMaxStages];

  AxisOrder order() const {
    AxisOrder order{length, chirp ? 0 : stages, {}};
    for (int i = 0; i < order.stages; ++i) order.radix[i] = stage[i].radix;
    return order;
  }
  // Complex values of a line's tables.
  int table_size() const { return chirp ? 2 * padded + length : padded; }
};

// False if the length is too large for the number of stages there is.
bool plan_line(int length, LinePlan& plan);

// Where the tables of a line lie: exp(-2 pi i k / padded), the chirp exp(-pi i k^2 / length), and
// the transform of its conjugate, divided by padded, in the stages' order.
struct LineTables {
  const Complex<float>* roots = nullptr;
  const Complex<float>* chirp = nullptr;
  const Complex<float>* kernel = nullptr;
};
inline LineTables line_tables(const LinePlan& plan, const Complex<float>* memory) {
  return {memory, memory + plan.padded, memory + plan.padded + plan.length};
}

}  // namespace freqops::cuda
