// The lines form of the FFT filter for fft_filter_forms.h: any size, planned at run time.
#pragma once

#include "fft_filter.h"
#include "line_tables.cuh"
#include "lines_tiling.h"
#include "response_table.cuh"

namespace freqops::cuda {

template <class Launcher>
bool lines_take(const Launcher& launcher, int height, int width) {
  LinePlan along_height, along_width;
  LinesTiling tiling;
  return plan_line(height, along_height) && plan_line(width, along_width) &&
         tile_lines(along_height, along_width, launcher.largest_shared_bytes(), tiling);
}

// The gains of all responses, then the tables of a row, then those of a column: complex values, so
// the gains are rounded up to whole ones.
struct LinesTable {
  int64_t gains, row, column, end;  // in complex values
};
inline LinesTable lines_table(const FilterShape& shape, const LinePlan& along_height, const LinePlan& along_width) {
  const int64_t gains = shape.responses * shape.channels * shape.pixels();
  const int64_t row = shape.complex_response ? gains : (gains + 1) / 2, column = row + along_width.table_size();
  return {gains, row, column, column + along_height.table_size()};
}

inline int64_t lines_table_size(const FilterShape& shape) {
  LinePlan along_height, along_width;
  if (!plan_line(shape.height, along_height) || !plan_line(shape.width, along_width)) return 0;
  return 2 * lines_table(shape, along_height, along_width).end;
}

template <class Launcher>
int fill_lines_table(const Launcher& launcher, const FilterShape& shape, const float* real, const float* imag,
                     float* table) {
  LinePlan along_height, along_width;
  if (!plan_line(shape.height, along_height) || !plan_line(shape.width, along_width)) return kInvalid;
  const LinesTable layout = lines_table(shape, along_height, along_width);
  auto* values = reinterpret_cast<Complex<float>*>(table);
  if (const int error = fill_position_table(launcher, {shape.height, shape.width, real, imag}, along_height.order(),
                                            along_width.order(), shape.responses * shape.channels, table)) {
    return error;
  }
  if (const int error = fill_line_tables(launcher, along_width, values + layout.row)) return error;
  return fill_line_tables(launcher, along_height, values + layout.column);
}

template <class Launcher>
int64_t lines_work_bytes(const Launcher& launcher, const FilterShape& shape);

template <class Launcher, class Io>
int run_lines_filter(const Launcher& launcher, const FilterProblem& problem);

}  // namespace freqops::cuda
