// The spectrum of planes cut or padded with zeros, N -> M samples along each axis, and weighed by a gain per frequency:
//
//   y[m] = sum over |k| <= min(N, M) / 2 of gain[|k|] X[k] exp(2 pi i k m / M),  X[k] = sum_n x[n] exp(-2 pi i k n / N)
//
// For even K = min(N, M) != max(N, M) the frequencies K/2 and -K/2 of the longer axis are one bin of the shorter one: they
// add up in it, or both take its value. So the transpose is the same map with N and M exchanged.
#pragma once

#include <cstdint>

#include "fft/plan.h"
#include "images.h"

namespace freqops {

// One axis as a kernel reads it. What is kept of the spectrum lies in slots; both transforms know the slots of their
// positions (see cpu/lane_transform.h).
template <class T>
struct ResizedAxis {
  const AxisPlan<T>* in;
  const AxisPlan<T>* out;
  const int32_t* in_slot;       // [N] position of the forward transform -> slot, or -1
  const int32_t* out_slot;      // [M] position of the inverse transform -> slot, or -1
  int in_outputs, out_outputs;  // see Kept
  int in_slots;                 // that the forward transform fills
  int slots;                    // that the inverse transform reads: one less where the last is added to slot `nyquist`
  int nyquist;                  // the slot of K/2, -1 where there is none
  const T* gain;                // [slots]
  const T* sine;  // [max(N, M)] sin(pi K n / max(N, M)): what distinguishes K/2 from -K/2 on the longer axis

  bool folds() const { return in_slots > slots; }
};

template <class T>
struct ResizeSpectrum {
  Images x, y;
  bool lines;  // one-dimensional: `height` is a number of lines, and h is not used
  ResizedAxis<T> h, w;
  // The corner where both axes have their K/2: the sum of two diagonal bins instead of half that of four.
  bool two_corner;
};

}  // namespace freqops
