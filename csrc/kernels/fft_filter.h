// y_r = irfft2(response_r * rfft2(x)) for R responses from one forward transform; R = 1 is the plain filter.
#pragma once

#include <cstddef>

#include "fft/plan.h"
#include "images.h"

namespace freqops {

// A response as a kernel reads it: by position, scaled by 1/(HW), extended to the full (Hermitian) plane.
// Rows (positions of the H axis) where every response of the bank is zero are dropped; the others are kept in slots
// ordered by |frequency|, so that a low-pass needs the first slots only. Slot 0 is always the DC row.
template <class T>
struct ResponseTable {
  const T* re;          // columns as lanes: [slot / lanes][W][lanes]; planes as lanes: [H][W]
  const T* im;          // null where the response is real
  const int32_t* slot;  // [H] position -> slot, -1 where this response is zero
  int slots;            // slots from 0 that hold every non-zero row of this response
  int outputs_h;        // outputs of the last radix along H and W that are ever non-zero (see Kept)
  int outputs_w;
};

// Which positions the forward transform must keep for all responses of one channel together.
struct KeptRows {
  const int32_t* slot;
  int slots;
  int outputs;
};

// What is written beside the filtered images: nothing, x - y_r for each r, or x - sum_r y_r.
enum class Complement { kNone, kEach, kRest };

template <class T>
struct FilterBank {
  const AxisPlan<T>* plan_h;
  const AxisPlan<T>* plan_w;
  int responses;
  int64_t response_channels;       // 1: one response for all planes
  const ResponseTable<T>* tables;  // [responses][response_channels]
  const KeptRows* kept;            // [response_channels]
  // A long signal is filtered as a plane of H x W (four-step transform): (cos, sin) of 2 pi k_h n_w / (HW) in the
  // layout of a table, null for real planes.
  const T* step_cos;
  const T* step_sin;
  bool planes_as_lanes;
  bool stream;  // the output is larger than the caches and aligned: write past them

  Images x, y;
  int64_t response_stride;  // elements of y between two responses; the rest (kRest) lies behind the last
  Complement complement;
  void* high;  // kEach: x - y_r, laid out as y
};

}  // namespace freqops
