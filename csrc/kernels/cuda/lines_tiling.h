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

  // Value i of a tile: which pair of the tile, which pixel or position of the plane, where in the tile.
  struct Place {
    int pair, pixel, place;
    bool inside;
  };
  FREQOPS_HOST_DEVICE Place in_planes(int i) const {
    const PlaneTiling& plane = tiling.plane;
    const int pair = plane.by_pixels.quotient(i), pixel = i - pair * pixels();
    const int row = by_width.quotient(pixel), column = pixel - row * width;
    return {pair, pixel, pair * plane.plane_pitch + row * plane.pitch + column, i < plane.pairs * pixels()};
  }
  FREQOPS_HOST_DEVICE Place in_rows(int i, int group) const {
    const int row = by_width.quotient(i), pixel = group * tiling.rows.lines * width + i;
    return {0, pixel, row * tiling.rows.pitch + (i - row * width), row < tiling.rows.lines && pixel < pixels()};
  }
  // The number of columns in a group is a power of two.
  FREQOPS_HOST_DEVICE Place in_columns(int i, int group) const {
    const LineTiling& columns_tiling = tiling.columns;
    const int row = i >> columns_tiling.log2_lines;
    const int column = group * columns_tiling.lines + (i & (columns_tiling.lines - 1));
    return {0, row * width + column, i, row < height && column < width};
  }

  // Calls f(pair, pixel, i, place) for whole planes, f(pixel, place) for a group of lines.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_planes(int thread, F&& f) const {
    for (int i = thread; i < tiling.plane.pairs * pixels(); i += kLineThreads) {
      const Place at = in_planes(i);
      f(at.pair, at.pixel, i, at.place);
    }
  }
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_rows(int thread, int group, F&& f) const {
    for (int i = thread; i < tiling.rows.lines * width; i += kLineThreads) {
      const Place at = in_rows(i, group);
      if (at.inside) f(at.pixel, at.place);
    }
  }
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_columns(int thread, int group, F&& f) const {
    for (int i = thread; i < tiling.columns.lines * height; i += kLineThreads) {
      const Place at = in_columns(i, group);
      if (at.inside) f(at.pixel, at.place);
    }
  }

  // tile[place] = read(pair, pixel), or read(pixel), in the same order.
  template <class Read>
  FREQOPS_HOST_DEVICE void load_planes(int thread, Complex<float>* tile, Read&& read) const {
    load(
        thread, tiling.plane.pairs * pixels(), tile, [&](int i) { return in_planes(i); },
        [&](const Place& at) { return read(at.pair, at.pixel); });
  }
  template <class Read>
  FREQOPS_HOST_DEVICE void load_rows(int thread, int group, Complex<float>* tile, Read&& read) const {
    load(
        thread, tiling.rows.lines * width, tile, [&](int i) { return in_rows(i, group); },
        [&](const Place& at) { return read(at.pixel); });
  }
  template <class Read>
  FREQOPS_HOST_DEVICE void load_columns(int thread, int group, Complex<float>* tile, Read&& read) const {
    load(
        thread, tiling.columns.lines * height, tile, [&](int i) { return in_columns(i, group); },
        [&](const Place& at) { return read(at.pixel); });
  }

 private:
  // Some loads before the first store, so that that many are on their way at the same time.
  template <class PlaceOf, class Read>
  static FREQOPS_HOST_DEVICE void load(int thread, int count, Complex<float>* tile, PlaceOf&& place_of, Read&& read) {
    constexpr int kTogether = 4;
    FREQOPS_ONE_TURN
    for (int start = thread; start < count; start += kTogether * kLineThreads) {
      Complex<float> value[kTogether];
      int place[kTogether];
      static_for<kTogether>([&](auto j) FREQOPS_INLINED {
        const Place at = place_of(start + j * kLineThreads);
        place[j] = at.inside ? at.place : -1;
        value[j] = at.inside ? read(at) : Complex<float>{0, 0};
      });
      static_for<kTogether>([&](auto j) FREQOPS_INLINED {
        if (place[j] >= 0) tile[place[j]] = value[j];
      });
    }
  }
};

// An image in the first rows and columns of a larger plane that is transformed: zeros follow it on the way there, and
// on the way back the rest is left out.
struct Corner {
  int height = 0, width = 0;

  FREQOPS_HOST_DEVICE int pixels() const { return height * width; }
  // Which pixel of the image lies at one of the plane; -1 beyond it.
  FREQOPS_HOST_DEVICE int pixel(const LinesGeometry& plane, int pixel) const {
    const int row = plane.by_width.quotient(pixel), column = pixel - row * plane.width;
    return row < height && column < width ? row * width + column : -1;
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
