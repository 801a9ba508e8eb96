// Adaptive polyphase sampling: how large the four components of an image are, and one component out of each image.
//
// Component p + 2 q of a plane is its samples (2 i + p, 2 j + q), for ceil(H / 2) rows i and ceil(W / 2) columns j. On
// an odd axis the last sample of the odd components lies behind the axis: it is the first one once more, or zero.
#pragma once

#include <cstdint>

#include "images.h"

namespace freqops {

enum class PolyphaseNorm { kSquares, kMagnitudes, kLargestMagnitude, kLargest };

// Images are contiguous or channels_last here. An item is a plane, or a row of all channels where these lie together:
// items / batch of them make an image, and each has its four numbers in `partial`, for the caller to join.
struct PolyphaseNorms {
  Images x;
  PolyphaseNorm norm;
  double* partial;
};

// The component of every image of x in y (pool), or y among zeros in its place in x (unpool). Each is the transpose of
// the other, with `circular` or without.
struct PolyphasePool {
  Images x, y;
  const int64_t* index;  // [batch], 0 to 3
  bool circular;         // what lies behind an odd axis is its first sample, otherwise zero
};

}  // namespace freqops
