// Re ifft(|A| exp(i angle(B))) of two images, over two axes or, with over_channels, over channels too.
#pragma once

#include <cstddef>

#include "fft/plan.h"
#include "images.h"

namespace freqops {

template <class T>
struct MixAmplitudePhase {
  const AxisPlan<T>* plan_c;  // null unless channels are transformed too
  const AxisPlan<T>* plan_h;
  const AxisPlan<T>* plan_w;
  Images amplitude, phase, out;
};

}  // namespace freqops
