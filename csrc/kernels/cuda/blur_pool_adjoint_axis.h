// One axis of the blur's adjoint as kernels see it, in 32-bit positions.
//
// The map of `size` samples stands at positions 0 .. size - 1 of a line that padding continues on both sides; the
// forward map reads position q = o stride + j - before with tap j for output o. So sample i collects from itself and
// from every position outside that shows it (source_index in blur_pool.h), in that order.
#pragma once

#include <climits>
#include <cstdint>

#include "../blur_pool.h"

namespace freqops::cuda {

struct AdjointAxis {
  int size, outputs, taps, stride, before;
  PaddingMode mode;

  // Positions that the forward map reads are first() .. end() - 1.
  FREQOPS_HOST_DEVICE int first() const { return -before; }
  FREQOPS_HOST_DEVICE int end() const { return (outputs - 1) * stride + taps - before; }

  // Outputs that read position q: first_output(q) .. last_output(q), none if that is empty.
  FREQOPS_HOST_DEVICE int first_output(int q) const {
    const int p = q + before - taps + stride;  // of the last output before them, and one more stride
    return p < stride ? 0 : p / stride;
  }
  FREQOPS_HOST_DEVICE int last_output(int q) const {
    const int p = q + before;
    if (p < 0) return -1;
    const int last = p / stride;
    return last < outputs ? last : outputs - 1;
  }
};

// Samples first .. end - 1 are shown by no position outside.
struct ShownOnce {
  int first, end;
  FREQOPS_HOST_DEVICE bool holds(int i) const { return i >= first && i < end; }
};

inline ShownOnce shown_once(const AdjointAxis& axis) {
  const int n = axis.size, beyond = axis.end();
  ShownOnce inner{0, n};
  if (axis.mode == PaddingMode::kCircular) {
    inner = {beyond - n, n - axis.before};
  } else if (axis.mode == PaddingMode::kReflect && n > 1) {
    inner = {axis.before > 0 ? axis.before + 1 : 0, beyond > n ? 2 * (n - 1) - beyond + 1 : n};
  } else if (axis.mode != PaddingMode::kZeros) {
    inner = {axis.before > 0, n - (beyond > n)};
  }
  return {inner.first < 0 ? 0 : inner.first, inner.end > n ? n : inner.end};
}

// The positions that show sample i: i itself and then those outside, along up to four ways of equal steps.
class ShownAt {
 public:
  FREQOPS_HOST_DEVICE ShownAt(const AdjointAxis& axis, int i)
      : first_(axis.first()), end_(axis.end()), sample_(i), position_(i), way_(kItself) {
    const int n = axis.size;
    if (axis.mode == PaddingMode::kCircular) {
      period_ = n;
      ways_ = (1 << kBelow) | (1 << kAbove);
    } else if (axis.mode == PaddingMode::kReflect && n > 1) {
      period_ = 2 * (n - 1);
      ways_ = (1 << kBelow) | (1 << kAbove) | (i > 0 && i < n - 1 ? (1 << kMirrorBelow) | (1 << kMirrorAbove) : 0);
    } else if (axis.mode != PaddingMode::kZeros) {
      period_ = 1;
      ways_ = (i == 0 ? 1 << kBelow : 0) | (i == n - 1 ? 1 << kAbove : 0);
    }
  }

  FREQOPS_HOST_DEVICE bool done() const { return way_ > kMirrorAbove; }
  FREQOPS_HOST_DEVICE int position() const { return position_; }
  FREQOPS_HOST_DEVICE void next() {
    if (way_ != kItself) {
      position_ += leads_down() ? -period_ : period_;
      if (goes_on()) return;
    }
    for (++way_; way_ <= kMirrorAbove; ++way_) {
      if (!(ways_ >> way_ & 1)) continue;
      position_ = (way_ >= kMirrorBelow ? -sample_ : sample_) + start_of_way();
      if (goes_on()) return;
    }
  }

 private:
  static constexpr int kItself = 0, kBelow = 1, kAbove = 2, kMirrorBelow = 3, kMirrorAbove = 4;

  FREQOPS_HOST_DEVICE bool leads_down() const { return way_ % 2 != 0; }
  // Where the line is cropped, a way may begin with positions that no output reads.
  FREQOPS_HOST_DEVICE bool goes_on() const { return leads_down() ? position_ >= first_ : position_ < end_; }
  FREQOPS_HOST_DEVICE int start_of_way() const {
    return way_ == kBelow ? -period_ : way_ == kMirrorBelow ? 0 : period_;
  }

  int first_, end_, sample_, position_, period_ = 1, way_, ways_ = 0;
};

// The sample that position q shows, outside the map in any mode but zeros. The first reflection and the first round
// need no division.
FREQOPS_HOST_DEVICE int sample_shown_at(const AdjointAxis& axis, int q) {
  const int n = axis.size;
  if (axis.mode == PaddingMode::kReplicate) return q < 0 ? 0 : n - 1;
  const int once = axis.mode == PaddingMode::kCircular ? (q < 0 ? q + n : q - n) : q < 0 ? -q : 2 * (n - 1) - q;
  if (once >= 0 && once < n) return once;
  return static_cast<int>(source_index(q, n, axis.mode));
}

// False if positions do not fit: 32-bit arithmetic on them has to have room for a stride and a period more.
inline bool make_adjoint_axis(const BlurAxis& blur, AdjointAxis& axis) {
  constexpr int64_t kMost = int64_t{1} << 28;
  const auto fits = [](int64_t value) { return value > -kMost && value < kMost; };
  if (!fits(blur.size) || !fits(blur.outputs) || !fits(blur.taps) || !fits(blur.stride) || !fits(blur.before)) {
    return false;
  }
  if (!fits(blur.outputs * blur.stride + blur.taps)) return false;
  axis = {static_cast<int>(blur.size),   static_cast<int>(blur.outputs), blur.taps,
          static_cast<int>(blur.stride), static_cast<int>(blur.before),  blur.mode};
  return true;
}

}  // namespace freqops::cuda
