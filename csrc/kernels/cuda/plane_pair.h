// Two real planes that are transformed together as a + ib.
#pragma once

#include <cstdint>

#include "filter_arguments.h"

namespace freqops::cuda {

// Where the two planes start, in elements of x and y (or which they are, where x and y differ). The
// last plane of an odd batch is paired with itself.
struct PlanePair {
  int64_t first, second;
  int64_t response;  // where the channel's response starts, in entries of the table
  bool active;
  bool redo;
};

// A NaN or an infinity in one plane would reach the other one of its pair: such a pair is redone,
// each plane as a pair with itself.
enum class Pass { kTogether, kFirstApart, kSecondApart };

// How far apart planes lie, and the responses of neighbouring channels.
struct PlaneStrides {
  int64_t plane, response;
};

// Images 2i and 2i + 1 of a channel form a pair, since they have the same response. Pairs are
// counted through the images of one channel first, so that neighbouring pairs meet few channels and
// read the same response at the same time.
FREQOPS_HOST_DEVICE PlanePair pair_at(const PlaneBatch& batch, const PlaneStrides& strides, int64_t index) {
  // Launchers keep the number of pairs below 2^31; a 64-bit division would cost as much as a small
  // transform.
  const auto image_pairs = static_cast<uint32_t>(batch.image_pairs());
  const uint32_t channel = static_cast<uint32_t>(index) / image_pairs;
  const int64_t first_image = 2 * static_cast<int64_t>(static_cast<uint32_t>(index) % image_pairs);
  const int64_t second_image = first_image + 1 < batch.images ? first_image + 1 : first_image;
  return {(first_image * batch.channels + channel) * strides.plane,
          (second_image * batch.channels + channel) * strides.plane, channel * strides.response, true, false};
}

FREQOPS_HOST_DEVICE void set_apart(PlanePair& pair, Pass pass) {
  if (pass == Pass::kFirstApart) pair.second = pair.first;
  if (pass == Pass::kSecondApart) pair.first = pair.second;
}

// What a block that keeps its pairs in shared memory works on in a pass.
FREQOPS_HOST_DEVICE void choose_pair(PlanePair& pair, const PlaneBatch& batch, const PlaneStrides& strides,
                                     int64_t index, Pass pass) {
  const bool redo = pass != Pass::kTogether && pair.redo;
  if (index < batch.pairs() && (pass == Pass::kTogether || redo)) {
    pair = pair_at(batch, strides, index);
    pair.redo = redo;
    set_apart(pair, pass);
  } else {
    pair = {0, 0, 0, false, false};
  }
}

}  // namespace freqops::cuda
