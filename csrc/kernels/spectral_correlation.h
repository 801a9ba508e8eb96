// conj(X) Y summed over planes: the gradient of a filter's response.
//
// Two images of a channel are packed as z = x1 + i x2 and two gradients as v = y1 + i y2. With c(k) = conj(Z(k)) V(k),
// conj(X1) Y1 + conj(X2) Y2 = (c(k) + conj c(-k)) / 2: the products need not be told apart, so they are summed as they
// are and made Hermitian once at the end.
#pragma once

#include <cstddef>

#include "fft/plan.h"
#include "images.h"

namespace freqops {

template <class T>
struct SpectralCorrelation {
  const AxisPlan<T>* plan_h;
  const AxisPlan<T>* plan_w;
  const T* step_cos;  // four-step rotations, as in FilterBank
  const T* step_sin;
  const int32_t* slot;  // [H] position -> slot: the order in which the rows of a spectrum are stored, all of them
  Images x, y;
  bool per_channel;
  // Each channel's planes are summed in `parts` runs of fixed extent, so the sum does not depend on the thread count.
  int64_t parts;
  T* partial;  // [channels][parts][2][spectrum elements]: [row block][column position][lane]
};

}  // namespace freqops
