// Rows of scratch that are made once and kept while rows below them still need them.
#pragma once

#include "pool_task.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// The last rows of a plane that were made, each in the slot of its number modulo a power of two.
template <class T>
class RowRing {
 public:
  RowRing() = default;
  RowRing(int64_t rows, int64_t pitch, Arena<T>& arena)
      : pitch_(pitch), slots_(power_of_two_from(rows)), rows_(arena.take(slots_ * pitch)) {}

  int64_t pitch() const { return pitch_; }
  int64_t slots() const { return slots_; }
  void clear() { held_ = {0, 0}; }
  bool holds(int64_t row) const { return row >= held_.begin && row < held_.end; }
  T* at(int64_t row) const { return rows_ + (row & (slots_ - 1)) * pitch_; }
  // How many rows from this one on lie in memory one after the other.
  int64_t together(int64_t row) const { return slots_ - (row & (slots_ - 1)); }

  // Makes what is missing of these rows, which fit the ring: make(first, count, out), count rows at a time.
  template <class Make>
  void ensure(Span rows, Make&& make) {
    if (rows.begin < held_.begin || rows.begin > held_.end) held_ = {rows.begin, rows.begin};
    while (held_.end < rows.end) {
      const int64_t count = std::min(rows.end - held_.end, together(held_.end));
      make(held_.end, count, at(held_.end));
      held_.end += count;
    }
    held_.begin = std::max(held_.begin, held_.end - slots_);
  }

 private:
  int64_t pitch_ = 0, slots_ = 0;
  T* rows_ = nullptr;
  Span held_{0, 0};
};

// Rows of scratch are this far apart, for n elements.
template <class T>
inline int64_t pitch_for(int64_t n) {
  return round_up(n, kLanes<T>);
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
