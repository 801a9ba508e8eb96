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

struct HalfResponse {
  int height, width;
  const float* real;  // [..., height, width / 2 + 1]
  const float* imag;  // the same, or null

  // The gain at frequency (kh, kw), 0 <= kh < height, 0 <= kw < width, of plane `plane`.
  FREQOPS_HOST_DEVICE Complex<float> at(int64_t plane, int kh, int kw) const {
    const int half = width / 2 + 1;
    const int64_t start = plane * height * half;
    const int kh_mirrored = kh == 0 ? 0 : height - kh, kw_mirrored = kw == 0 ? 0 : width - kw;
    const bool mirrored = kw >= half, symmetrised = kw == kw_mirrored;
    const int64_t own =
        start + static_cast<int64_t>(mirrored ? kh_mirrored : kh) * half + (mirrored ? kw_mirrored : kw);
    Complex<float> value{real[own], imag ? imag[own] : 0.0f};
    if (mirrored) value.im = -value.im;
    if (symmetrised) {
      const int64_t other = start + static_cast<int64_t>(kh_mirrored) * half + kw;
      value.re = 0.5f * (value.re + real[other]);
      value.im = imag ? 0.5f * (value.im - imag[other]) : 0.0f;
    }
    return value;
  }
};

FREQOPS_HOST_DEVICE void store_gain(Complex<float> value, float& gain) { gain = value.re; }
FREQOPS_HOST_DEVICE void store_gain(Complex<float> value, Complex<float>& gain) { gain = value; }
FREQOPS_HOST_DEVICE Complex<float> apply_gain(Complex<float> value, float gain) {
  return {value.re * gain, value.im * gain};
}
FREQOPS_HOST_DEVICE Complex<float> apply_gain(Complex<float> value, Complex<float> gain) {
  return multiply(value, gain);
}

// Fills one entry per position of every plane: table[plane][row][column].
template <class Gain>
struct PositionTableFill {
  static constexpr int kThreads = 256, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    HalfResponse response;
    AxisOrder rows, columns;
    int64_t planes;
    Gain* table;
    FREQOPS_HOST_DEVICE int64_t entries() const { return planes * response.height * response.width; }
  };

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t i = static_cast<int64_t>(index) * kThreads + thread;
      if (i < arguments.entries()) store_gain(entry(arguments, i), arguments.table[i]);
    });
  }

 private:
  static FREQOPS_HOST_DEVICE Complex<float> entry(const Arguments& arguments, int64_t i) {
    const int h = arguments.response.height, w = arguments.response.width;
    const int64_t row = i / w;
    const Complex<float> value = arguments.response.at(row / h, arguments.rows.frequency(static_cast<int>(row % h)),
                                                       arguments.columns.frequency(static_cast<int>(i % w)));
    // Divided, not multiplied by a reciprocal: one rounding.
    const float pixels = static_cast<float>(h) * static_cast<float>(w);
    return {value.re / pixels, value.im / pixels};
  }
};

// Starts the fill for a table of `planes` responses.
template <class Launcher>
int fill_position_table(const Launcher& launcher, const HalfResponse& response, const AxisOrder& rows,
                        const AxisOrder& columns, int64_t planes, float* table) {
  const auto fill = [&]<class Gain>(Gain* gains) {
    using Program = PositionTableFill<Gain>;
    const typename Program::Arguments arguments{response, rows, columns, planes, gains};
    return launcher.template run<Program>((arguments.entries() + Program::kThreads - 1) / Program::kThreads, 0,
                                          arguments);
  };
  return response.imag ? fill(reinterpret_cast<Complex<float>*>(table)) : fill(table);
}

}  // namespace freqops::cuda
