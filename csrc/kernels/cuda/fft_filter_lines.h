// The lines form of the FFT filter for fft_filter_forms.h: any size, planned at run time.
#pragma once

#include "fft_filter.h"
#include "line_tables.cuh"
#include "lines_tiling.h"
#include "response_table.cuh"

namespace freqops::cuda {

template <class Launcher>
bool lines_take(const Launcher& launcher, int height, int width) {
  LinesGeometry geometry;
  return plan_geometry(height, width, 1, launcher.largest_shared_bytes(), launcher.multiprocessors(), geometry);
}

// The gains of all responses, then the tables of the lines: complex values, so the gains are rounded
// up to whole ones.
inline int64_t lines_gains_size(const FilterShape& shape) {
  const int64_t gains = shape.responses * shape.channels * shape.pixels();
  return shape.complex_response ? gains : (gains + 1) / 2;
}
inline int64_t lines_table_size(const FilterShape& shape) {
  LinePlan along_height, along_width;
  if (!plan_line(shape.height, along_height) || !plan_line(shape.width, along_width)) return 0;
  return 2 * (lines_gains_size(shape) + along_height.table_size() + along_width.table_size());
}

template <class Launcher>
int fill_lines_table(const Launcher& launcher, const FilterShape& shape, const float* real, const float* imag,
                     float* table) {
  LinePlan along_height, along_width;
  if (!plan_line(shape.height, along_height) || !plan_line(shape.width, along_width)) return kInvalid;
  if (const int error = fill_position_table(launcher, {shape.height, shape.width, real, imag}, along_height.order(),
                                            along_width.order(), shape.responses * shape.channels, table)) {
    return error;
  }
  return fill_line_tables(launcher, along_height, along_width,
                          reinterpret_cast<Complex<float>*>(table) + lines_gains_size(shape));
}

template <class Launcher>
int64_t lines_work_bytes(const Launcher& launcher, const FilterShape& shape);

template <class Launcher>
int run_lines_filter(const Launcher& launcher, const FilterProblem& problem);

}  // namespace freqops::cuda
