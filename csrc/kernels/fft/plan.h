// How a transform of a given length is carried out: plain data, read by the kernels of every level.
//
// The forward transform is decimation in frequency and never reorders: stage s splits each block of
// radix * span elements into `radix` blocks of `span`. Position e of the result then holds frequency[e].
// The inverse runs the same stages backwards (decimation in time) and returns to natural order, so what lies
// between the two, a response table, is stored by position and no element is ever permuted at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace freqops {

inline constexpr int kMaxStages = 20;

template <class T>
struct AxisPlan;

// A transform of a length that is no product of built-in radices; always the last forward stage.
template <class T>
struct GenericDft {
  enum class Kind { kNone, kDirect, kBluestein };
  Kind kind;
  int length;
  // kDirect: half = (length - 1) / 2 rows of `half` cosines and sines of 2 pi k q / length, 1 <= k, q <= half.
  const T* cos;
  const T* sin;
  // kBluestein: chirp[n] = exp(-i pi n^2 / length) as (re, im) pairs, and the transform of the conjugate chirp in
  // position order of `inner`, scaled by 1 / inner->length.
  const AxisPlan<T>* inner;
  const T* chirp;
  const T* chirp_spectrum;
};

template <class T>
struct AxisPlan {
  int length;
  int stages;
  int radix[kMaxStages];
  int span[kMaxStages];
  const T* twiddle[kMaxStages];  // span x (radix - 1) pairs (cos, sin) of 2 pi j k / (radix span); null in the last
  const int32_t* frequency;      // position -> frequency
  const int32_t* position;       // frequency -> position
  const int32_t* identity;       // 0, 1, ..., length - 1
  GenericDft<T> generic;

  int last_radix() const { return radix[stages - 1]; }
};

}  // namespace freqops
