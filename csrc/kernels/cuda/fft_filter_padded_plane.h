// The plane form of the padded filter for fft_filter_padded.cuh, compiled in a translation unit of its own.
#pragma once

#include <algorithm>
#include <climits>

#include "fft_filter.h"
#include "fft_filter_padded.h"
#include "fft_filter_padded_plan.cuh"
#include "response_table.cuh"

namespace freqops::cuda {

// Whether images, results and grid are squares, as all listed ones are, and few enough: planes, and the ends of slices, are
// counted in 32 bits.
inline bool suits_plane_form(const FilterPadded& problem) {
  constexpr int64_t kMostPlanes = INT_MAX / 2;
  const bool square = problem.height == problem.width && problem.grid_height == problem.grid_width;
  return square && problem.out_height == problem.height && problem.out_width == problem.width &&
         problem.images * problem.channels <= kMostPlanes;
}
template <class Launcher>
bool padded_plane_takes(const Launcher& launcher, int size, int grid);

inline int64_t padded_table_size(const FilterPadded& problem) {
  return problem.channels * problem.grid_height * problem.grid_width;
}
template <class Launcher>
int fill_padded_table(const Launcher& launcher, const FilterPadded& problem, Complex<float>* table) {
  int error = kInvalid;
  PaddedPlans::with(problem.height, problem.grid_height, [&](auto plan) {
    using Fill = PositionTableFill<Complex<float>>;
    const AxisOrder order = decltype(plan)::Axis::order();
    const typename Fill::Arguments arguments{
        {problem.grid_height, problem.grid_width, problem.real, problem.imag}, order, order, problem.channels, table};
    const int64_t blocks = (arguments.entries() + Fill::kThreads - 1) / Fill::kThreads;
    error = launcher.template run<Fill>(blocks, 0, arguments);
  });
  return error;
}

template <class Launcher, class Io>
int run_padded_plane(const Launcher& launcher, const FilterPadded& problem, const Complex<float>* table);

}  // namespace freqops::cuda
