#include "lines_tiling.h"

namespace freqops::cuda {
namespace {

constexpr int64_t kValue = sizeof(Complex<float>);

// Two blocks per multiprocessor of the devices with the least shared memory.
constexpr int64_t kSharedTarget = 48 * 1024;
// Larger planes would have a multiprocessor to themselves, with too few threads to keep it busy.
constexpr int64_t kLargestPlane = 112 * 1024;

PlaneTiling tile_planes(const LinePlan& height, const LinePlan& width, int64_t shared_bytes) {
  // Rows and, below the last one, room for what Bluestein pads.
  const int64_t pitch = std::max(width.padded, width.length) | 1;
  const int64_t plane = pitch * std::max(height.padded, height.length);
  const auto bytes = [&](int64_t pairs) { return pairs * (plane * kValue + int64_t{sizeof(PlanePair)}); };
  if (bytes(1) > std::min(shared_bytes, kLargestPlane)) return {};
  const int64_t wanted = std::min(kSharedTarget, shared_bytes) / bytes(1);
  const auto pairs = static_cast<int>(std::clamp<int64_t>(wanted, 1, kMostPairsPerBlock));
  return {pairs, static_cast<int>(pitch), static_cast<int>(plane), division_by(height.length * width.length)};
}

LineTiling tile_rows(const LinePlan& height, const LinePlan& width, int64_t shared_bytes) {
  constexpr int kMostRows = 32;
  const int64_t pitch = width.padded | 1, bytes = pitch * kValue;
  if (bytes > shared_bytes) return {};
  const auto rows = static_cast<int>(
      std::clamp<int64_t>(std::min(kSharedTarget, shared_bytes) / bytes, 1, std::min(height.length, kMostRows)));
  const int groups = (height.length + rows - 1) / rows;
  return {.lines = rows,
          .pitch = static_cast<int>(pitch),
          .groups = groups,
          .by_groups = division_by(groups),
          .shared_bytes = static_cast<int>(rows * bytes)};
}

// 16 columns are 128 bytes of a row: whole sectors of memory.
LineTiling tile_columns(const LinePlan& height, const LinePlan& width, int64_t shared_bytes) {
  constexpr int64_t kTarget = 96 * 1024;
  const int64_t bytes = height.padded * kValue;
  if (bytes > shared_bytes) return {};
  int log2_columns = 4;
  while (log2_columns > 0 && (bytes << log2_columns) > std::min(kTarget, shared_bytes)) --log2_columns;
  const int columns = 1 << log2_columns, groups = (width.length + columns - 1) / columns;
  return {.lines = columns,
          .log2_lines = log2_columns,
          .groups = groups,
          .by_groups = division_by(groups),
          .shared_bytes = static_cast<int>(columns * bytes)};
}

}  // namespace

bool tile_lines(const LinePlan& height, const LinePlan& width, int shared_bytes, LinesTiling& tiling) {
  tiling.plane = tile_planes(height, width, shared_bytes);
  tiling.rows = tile_rows(height, width, shared_bytes);
  tiling.columns = tile_columns(height, width, shared_bytes);
  tiling.whole_planes = tiling.plane.pairs > 0;
  return tiling.whole_planes || (tiling.rows.lines > 0 && tiling.columns.lines > 0);
}

bool plan_geometry(int height, int width, int64_t pairs, int shared_bytes, int multiprocessors,
                   LinesGeometry& geometry) {
  geometry = LinesGeometry{};
  LinePlan &along_width = geometry.rows.plan, &along_height = geometry.columns.plan;
  LinesTiling& tiling = geometry.tiling;
  if (!plan_line(height, along_height) || !plan_line(width, along_width)) return false;
  if (!tile_lines(along_height, along_width, shared_bytes, tiling)) return false;
  geometry.height = height;
  geometry.width = width;
  geometry.by_width = division_by(width);
  if (tiling.whole_planes) {
    PlaneTiling& plane = tiling.plane;
    // Small batches are spread over the device.
    const int64_t blocks = std::max(2 * multiprocessors, 1);
    plane.pairs = static_cast<int>(std::clamp<int64_t>((pairs + blocks - 1) / blocks, 1, plane.pairs));
    geometry.rows.layout = line_layout(plane.pairs, height, plane.plane_pitch, plane.pitch, 1);
    geometry.columns.layout = line_layout(plane.pairs, width, plane.plane_pitch, 1, plane.pitch);
  } else {
    geometry.rows.layout = line_layout(1, tiling.rows.lines, 0, tiling.rows.pitch, 1);
    geometry.columns.layout = line_layout(1, tiling.columns.lines, 0, 1, tiling.columns.lines);
  }
  return true;
}

}  // namespace freqops::cuda
