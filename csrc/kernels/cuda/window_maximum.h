// Where the maximum of a window is.
#pragma once

#include "../fft/complex.h"

namespace freqops::cuda {

// Scanning a window, whether an element replaces the largest so far: torch's rule, the first maximum or the last NaN.
template <class Value>
FREQOPS_HOST_DEVICE bool replaces(Value value, Value largest) {
  return (value > largest) | (value != value);
}

}  // namespace freqops::cuda
