#pragma once

#include <cstdint>

#include "../fft/complex.h"

namespace freqops::cuda {

// Quotients by one divisor of numbers n >= 0 with n * divisor < 2^31.
struct Divisor {
  int divisor = 1;
  uint32_t multiplier = (1u << 31) + 1;

  Divisor() = default;
  explicit Divisor(int by) : divisor(by), multiplier((1u << 31) / static_cast<unsigned>(by) + 1) {}
  FREQOPS_HOST_DEVICE int quotient(int n) const {
    return static_cast<int>(uint64_t{static_cast<unsigned>(n)} * multiplier >> 31);
  }
};

}  // namespace freqops::cuda
