// Whole transforms of kLanes signals, assembled from the stages of lane_fft.h. Declarations only: the codelets are
// instantiated once per element type, in lane_transform_float.cpp and lane_transform_double.cpp.
#pragma once

#include "lane_fft.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Working memory of one thread for one axis: `lines` holds the signal between stages, `generic` what a length without
// built-in radices needs besides.
template <class T>
struct AxisScratch {
  Lines<T> lines;
  T* generic;
};

// Where the kept positions of a spectrum axis lie outside the scratch (see lane_fft.h).
struct Kept {
  const int32_t* slot;
  int outputs;  // first and last outputs / 2 of the last radix are wanted; the radix itself means all
};
template <class T>
inline Kept keep_all(const AxisPlan<T>& plan) {
  return {plan.identity, plan.last_radix()};
}

// Elements of T that AxisScratch::generic needs.
template <class T>
inline size_t generic_scratch_elements(const GenericDft<T>& generic) {
  using Kind = typename GenericDft<T>::Kind;
  if (generic.kind == Kind::kDirect) return size_t{4} * (generic.length / 2) * kLanes<T>;
  if (generic.kind == Kind::kBluestein) return size_t{2} * generic.inner->length * kLanes<T>;
  return 0;
}

// Natural order in `in` to kept positions in `out`, for `columns` lines side by side. `in` may be scratch.lines, whose
// stride must have room for the columns.
template <class T>
void forward(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, AxisScratch<T> scratch, int columns,
             bool prefetch);

// Kept positions in `in` to natural order in `out`, unnormalised. `stream` asks for stores past the caches: every
// vector of `out` must then be aligned.
template <class T>
void inverse(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, AxisScratch<T> scratch, int columns,
             bool stream);

// The values by which the positions of one line are multiplied; im is null for a real response.
template <class T>
struct LineGain {
  const T* re;
  const T* im;
  Gain gain;
  int outputs;  // as Kept::outputs, for the last radix of the line's axis
};

// The two below work on `lines` consecutive lines of kLanes signals each, contiguous in memory.

// All forward stages but the last, in place.
template <class T>
void forward_but_last(const AxisPlan<T>& plan, Lines<T> x, int lines);

// The rest of a filter along one axis: last forward stage of `in`, response, and all inverse stages, result in `out`
// (which may be `in`). The gains of the lines follow each other.
template <class T>
void filter_after_first(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, LineGain<T> gain, T* generic, int lines);

}  // namespace freqops::cpu::FREQOPS_LEVEL
