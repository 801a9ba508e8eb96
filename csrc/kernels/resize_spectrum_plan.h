// What an axis of a resized spectrum needs besides the plans of its transforms: slots, gains, and the sine of its corner.
#pragma once

#include <cstdint>
#include <vector>

#include "resize_spectrum.h"

namespace freqops {

// Owns what a ResizedAxis points to besides the plans.
template <class T>
class ResizedAxisTables {
 public:
  // gain holds min(N, M) / 2 + 1 numbers.
  ResizedAxisTables(const AxisPlan<T>& in, const AxisPlan<T>& out, const double* gain);
  const ResizedAxis<T>& axis() const { return axis_; }

 private:
  ResizedAxis<T> axis_{};
  std::vector<int32_t> in_slot_, out_slot_;
  std::vector<T> gain_, sine_;
};

}  // namespace freqops
