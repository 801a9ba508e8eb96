// Plans and response tables made once and kept: plans by shape, tables by the contents of the response, so a response
// that was changed in place can never meet a stale table. Both are bounded; the least recently used goes first.
// A response that somebody else has compared already comes with a key for its contents: they are not read again.
#pragma once

#include <memory>

#include "../kernels/filter_plan.h"

namespace freqops {

template <class T>
std::shared_ptr<const FilterPlan<T>> cached_filter_plan(const FilterForm& form, int lanes);

template <class T>
std::shared_ptr<const PlannedAxis<T>> cached_axis(int length);

// re and im are contiguous [responses][channels][height][width / 2 + 1]; im may be null. key: see schema.cpp.
template <class T>
struct ResponseArray {
  const T* re;
  const T* im;
  int responses;
  int64_t channels, height, width;
  int64_t key = 0;

  int64_t half_elements() const { return height * (width / 2 + 1); }
  int64_t elements() const { return responses * channels * half_elements(); }
};
template <class T>
std::shared_ptr<const ResponseTables<T>> cached_tables(std::shared_ptr<const FilterPlan<T>> plan,
                                                       const ResponseArray<T>& array);

}  // namespace freqops
