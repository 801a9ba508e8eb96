// What the two fused filters have in common: a group of planes that are transformed together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// The first half of the group are real parts, the second half imaginary parts. Every pointer is valid; planes that are
// not wanted repeat a wanted one. Result r of plane i starts at out[i] + r * response_stride.
template <class T, int Group>
struct FilterTask {
  const T* in[Group];
  T* out[Group];
  bool wanted[Group];
  ptrdiff_t stride;  // elements between rows, inputs and outputs alike
  ptrdiff_t response_stride;
  int64_t channel;
  const T* next;  // elements to fetch ahead while this group is transformed, or null
  size_t next_elements;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
