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

// A size as the kernels see it: plans, tables and layouts of both axes, and the ways through a tile.
struct LinesGeometry {
  int height = 0, width = 0;
  Division by_width;
  LineAxis rows, columns;  // to transform rows is to transform along the width
  LinesTiling tiling;

  FREQOPS_HOST_DEVICE int pixels() const { return height * width; }

  // Calls f(place among the tile's pairs, pixel or position, index over both, place in the tile) for
  // the values of whole planes.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_planes(int thread, F&& f) const {
    const PlaneTiling& plane = tiling.plane;
    for (int i = thread; i < plane.pairs * pixels(); i += kLineThreads) {
      const int p = plane.by_pixels.quotient(i), pixel = i - p * pixels();
      const int row = by_width.quotient(pixel), column = pixel - row * width;
      f(p, pixel, i, p * plane.plane_pitch + row * plane.pitch + column);
    }
  }
  // Calls f(pixel or position, place in the tile) for a group of rows ...
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_rows(int thread, int group, F&& f) const {
    const int first = group * tiling.rows.lines;
    const int rows_here = first + tiling.rows.lines <= height ? tiling.rows.lines : height - first;
    for (int i = thread; i < rows_here * width; i += kLineThreads) {
      const int row = by_width.quotient(i);
      f(first * width + i, row * tiling.rows.pitch + (i - row * width));
    }
  }
  // ... and of columns, whose number is a power of two.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_columns(int thread, int group, F&& f) const {
    const LineTiling& columns_tiling = tiling.columns;
    for (int i = thread; i < columns_tiling.lines * height; i += kLineThreads) {
      const int row = i >> columns_tiling.log2_lines;
      const int column = group * columns_tiling.lines + (i & (columns_tiling.lines - 1));
      if (column < width) f(row * width + column, i);
    }
  }
};

// The geometry without its tables, for a batch of so many pairs on a device with so much shared
// memory and so many multiprocessors; false as for tile_lines.
bool plan_geometry(int height, int width, int64_t pairs, int shared_bytes, int multiprocessors,
                   LinesGeometry& geometry);

// Complex values of both lines' tables, rows first.
inline int64_t line_tables_size(const LinesGeometry& geometry) {
  return geometry.rows.plan.table_size() + geometry.columns.plan.table_size();
}
inline void set_line_tables(LinesGeometry& geometry, const Complex<float>* tables) {
  geometry.rows.tables = line_tables(geometry.rows.plan, tables);
  geometry.columns.tables = line_tables(geometry.columns.plan, tables + geometry.rows.plan.table_size());
}

}  // namespace freqops::cuda
