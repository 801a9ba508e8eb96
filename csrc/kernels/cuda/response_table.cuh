// The response as the kernels read it: the full H x W plane in position order, with 1 / (HW) folded
// in.
//
// The half response that a user gives stands for the real operator that irfft2 makes of it: columns
// beyond W / 2 are the conjugates of their mirror images, the DC and the Nyquist column are
// replaced by their Hermitian part.
#pragma once

#include <cstdint>

#include "axis.h"

namespace freqops::cuda {

struct ResponseTable {
  int64_t channels;
  int height, width;
  int height_radix[2], width_radix[2];  // of the Axis templates that the reading kernel uses

  FREQOPS_HOST_DEVICE int64_t size() const { return channels * height * width; }
};

template <class Plan>
ResponseTable response_table_for(int64_t channels) {
  using H = typename Plan::AxisH;
  using W = typename Plan::AxisW;
  return {channels, Plan::kHeight, Plan::kWidth, {H::kRadix0, H::kRadix1}, {W::kRadix0, W::kRadix1}};
}

// Entry `index` of the table; imag may be null.
FREQOPS_HOST_DEVICE Complex<float> response_entry(const ResponseTable& table, const float* real, const float* imag,
                                                  int64_t index) {
  const int h = table.height, w = table.width, half = w / 2 + 1;
  const int64_t row_index = index / w;
  const int kw = frequency_at(static_cast<int>(index % w), table.width_radix[0], table.width_radix[1]);
  const int kh = frequency_at(static_cast<int>(row_index % h), table.height_radix[0], table.height_radix[1]);
  const int64_t plane = row_index / h * h * half;
  const int kh_mirrored = kh == 0 ? 0 : h - kh, kw_mirrored = kw == 0 ? 0 : w - kw;

  const bool mirrored = kw >= half, symmetrised = kw == kw_mirrored;
  const int64_t own = plane + static_cast<int64_t>(mirrored ? kh_mirrored : kh) * half + (mirrored ? kw_mirrored : kw);
  Complex<float> value{real[own], imag ? imag[own] : 0.0f};
  if (mirrored) value.im = -value.im;
  if (symmetrised) {
    const int64_t other = plane + static_cast<int64_t>(kh_mirrored) * half + kw;
    value.re = 0.5f * (value.re + real[other]);
    value.im = imag ? 0.5f * (value.im - imag[other]) : 0.0f;
  }
  // Divided, not multiplied by a reciprocal: one rounding.
  const float pixels = static_cast<float>(h) * static_cast<float>(w);
  return {value.re / pixels, value.im / pixels};
}

FREQOPS_HOST_DEVICE void store_gain(Complex<float> value, float& gain) { gain = value.re; }
FREQOPS_HOST_DEVICE void store_gain(Complex<float> value, Complex<float>& gain) { gain = value; }
FREQOPS_HOST_DEVICE Complex<float> apply_gain(Complex<float> value, float gain) {
  return {value.re * gain, value.im * gain};
}
FREQOPS_HOST_DEVICE Complex<float> apply_gain(Complex<float> value, Complex<float> gain) {
  return multiply(value, gain);
}

}  // namespace freqops::cuda
