// Builds the plans of plan.h. Runs once per length; everything is computed in double and rounded once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan.h"

namespace freqops {

// Owns the tables an AxisPlan points to.
template <class T>
class PlannedAxis {
 public:
  explicit PlannedAxis(int length);
  PlannedAxis(const PlannedAxis&) = delete;
  PlannedAxis& operator=(const PlannedAxis&) = delete;

  const AxisPlan<T>& plan() const { return plan_; }
  size_t bytes() const;

 private:
  void choose_radices(int length);
  void build_twiddles();
  void build_frequencies();
  void build_direct();
  void build_bluestein();
  const T* keep(std::vector<double> values);

  AxisPlan<T> plan_{};
  std::vector<std::vector<T>> tables_;
  std::vector<std::vector<int32_t>> indices_;
  std::unique_ptr<PlannedAxis> inner_;
};

// "224 = 28 x 8", "257 = Bluestein over 540 = 12 x 15 x 3": for people.
template <class T>
std::string describe(const AxisPlan<T>& plan);

}  // namespace freqops
