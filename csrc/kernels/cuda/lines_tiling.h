// How planes of any size are cut into tiles of lines that fit shared memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "line_stages.cuh"
#include "plane_pair.h"

namespace freqops::cuda {

inline constexpr int kMostPairsPerBlock = 64;

// Whole planes, several pairs of them side by side, rows kept an odd pitch apart.
struct PlaneTiling {
  int pairs = 0;  // per block; 0: not even one fits
  int pitch = 0, plane_pitch = 0;
  Division by_pixels;

  int shared_bytes() const {
    return pairs * (plane_pitch * static_cast<int>(sizeof(Complex<float>)) + static_cast<int>(sizeof(PlanePair)));
  }
};

// Rows of a plane, or columns of it: groups of lines that a block transforms. Rows are kept an odd
// pitch apart, columns side by side, a power of two of them.
struct LineTiling {
  int lines = 0;  // per block; 0: not even one fits
  int log2_lines = 0;
  int pitch = 0;
  int groups = 0;
  Division by_groups;
  int shared_bytes = 0;
};

struct LinesTiling {
  bool whole_planes = false;
  PlaneTiling plane;
  LineTiling rows, columns;
};

// False if the size has no plan, or a single line of it exceeds the shared memory of the device.
bool tile_lines(const LinePlan& height, const LinePlan& width, int shared_bytes, LinesTiling& tiling);

}  // namespace freqops::cuda
