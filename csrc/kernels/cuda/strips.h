// Which thread of a pooling kernel has which outputs, and an axis as the kernels know it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../blur_pool.h"

namespace freqops::cuda {

// A thread works its way down a strip of rows. Neighbouring threads have neighbouring groups of a row
// (columns, or vectors of channels), so that they read neighbouring memory; then come the strips of a
// plane (an image, in NHWC), then the planes.
struct Strips {
  int64_t planes;
  int rows;       // of a plane
  int groups;     // threads side by side
  int strips;     // of a plane
  int per_strip;  // rows of a strip; the last one may have fewer

  int64_t threads() const { return planes * strips * groups; }
};

inline constexpr int kStripThreads = 256;  // of a block, unless a program says otherwise

// The rows at the border of two strips are read by both, so that strips are long, as long as there are
// enough threads: twice as many as fit the device, and where the planes are too few for that, short strips
// for once as many.
inline Strips plan_strips(int64_t planes, int rows, int groups, int multiprocessors) {
  constexpr int64_t kResident = 1024;  // threads of a multiprocessor
  constexpr int kLong = 12, kShort = 4;
  const int64_t side_by_side = std::max<int64_t>(1, planes * groups), resident = kResident * multiprocessors;
  const auto strips_for = [&](int64_t threads, int shortest) {
    const int64_t most = std::max(1, (rows + shortest - 1) / shortest);
    return std::min(most, (threads + side_by_side - 1) / side_by_side);
  };
  int64_t strips = strips_for(2 * resident, kLong);
  if (strips * side_by_side < resident) strips = strips_for(resident, kShort);
  const int per_strip = static_cast<int>((rows + strips - 1) / strips);
  return {planes, rows, groups, (rows + per_strip - 1) / per_strip, per_strip};
}

struct StripPlace {
  int64_t plane;
  int group;
  int first, end;  // rows
  bool exists;

  FREQOPS_HOST_DEVICE StripPlace(const Strips& strips, unsigned block, int thread, int threads = kStripThreads) {
    int64_t rest = int64_t{block} * threads + thread;
    const int64_t line = rest / strips.groups;
    group = static_cast<int>(rest - line * strips.groups);
    plane = line / strips.strips;
    first = static_cast<int>(line - plane * strips.strips) * strips.per_strip;
    end = first + strips.per_strip < strips.rows ? first + strips.per_strip : strips.rows;
    exists = plane < strips.planes;
  }
};

// Blocks that a launch needs.
inline int64_t strip_blocks(const Strips& strips, int threads = kStripThreads) {
  return (strips.threads() + threads - 1) / threads;
}

FREQOPS_HOST_DEVICE int clamped(int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; }

// One axis as the kernels know it: sizes of planes fit 32 bits.
struct StencilAxis {
  int size, outputs, stride, before;
  PaddingMode mode;

  explicit StencilAxis(const BlurAxis& axis)
      : size(static_cast<int>(axis.size)),
        outputs(static_cast<int>(axis.outputs)),
        stride(static_cast<int>(axis.stride)),
        before(static_cast<int>(axis.before)),
        mode(axis.mode) {}
  // The sample that stands at a position, -1 where it is a zero.
  FREQOPS_HOST_DEVICE int source(int position) const { return source_index(position, size, mode); }
};

}  // namespace freqops::cuda
