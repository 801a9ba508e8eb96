// The working memory of one thread, in parts.
#pragma once

#include "lane_fft.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Hands out consecutive, vector-aligned parts of one allocation; with a null base it only counts. The parts are set
// apart by an odd number of cache lines: arrays of a power-of-two size would otherwise lie multiples of 4 KiB apart, where a
// load waits for every store to the same place in another array.
template <class T>
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<T*>(base)) {}
  T* take(size_t elements) {
    T* p = base_ ? base_ + used_ : nullptr;
    used_ += (elements + kLanes<T> - 1) / kLanes<T> * kLanes<T> + kApart;
    return p;
  }
  // Of another type, no more strictly aligned than a vector.
  template <class U>
  U* take_as(size_t count) {
    return reinterpret_cast<U*>(take((count * sizeof(U) + sizeof(T) - 1) / sizeof(T)));
  }
  Lines<T> take_lines(size_t elements, ptrdiff_t stride) {
    T* re = take(elements);
    return {re, take(elements), stride};
  }
  size_t bytes() const { return used_ * sizeof(T); }

 private:
  static constexpr size_t kApart = 17 * 64 / sizeof(T);
  T* base_;
  size_t used_ = 0;
};

inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

}  // namespace freqops::cpu::FREQOPS_LEVEL
