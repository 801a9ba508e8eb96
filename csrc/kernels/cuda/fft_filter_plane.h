// The plane form of the FFT filter for fft_filter_forms.h. The launchers are compiled in a
// translation unit for each element type.
#pragma once

#include "fft_filter.h"
#include "plane_plan.cuh"
#include "response_table.cuh"

namespace freqops::cuda {

// Whether a kernel for this size exists, was compiled for the device and fits its shared memory.
template <class Launcher>
bool plane_takes(const Launcher& launcher, int height, int width);

// Blocks that a multiprocessor has room for at the same time; 0 for a size without a kernel.
inline int plane_blocks_per_sm(int height, int width) {
  int blocks = 0;
  PlanePlans::with(height, width, [&](auto plan) { blocks = decltype(plan)::kBlocksPerSm; });
  return blocks;
}

inline int64_t plane_table_size(const FilterShape& shape) {
  return shape.responses * shape.channels * shape.pixels() * (shape.complex_response ? 2 : 1);
}

template <class Launcher>
int fill_plane_table(const Launcher& launcher, const FilterShape& shape, const float* real, const float* imag,
                     float* table) {
  int error = kInvalid;
  PlanePlans::with(shape.height, shape.width, [&](auto plan) {
    using Plan = decltype(plan);
    error = fill_position_table(launcher, {shape.height, shape.width, real, imag}, Plan::AxisH::order(),
                                Plan::AxisW::order(), shape.responses * shape.channels, table);
  });
  return error;
}

template <class Launcher>
int64_t plane_work_bytes(const Launcher& launcher, const FilterShape& shape);

template <class Launcher, class Io>
int run_plane_filter(const Launcher& launcher, const FilterProblem& problem);

}  // namespace freqops::cuda
