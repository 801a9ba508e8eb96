// Planes with their spectra cut or padded with zeros, on CUDA: see kernels/resize_spectrum.h for the map.
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

struct ResizeSpectrum {
  Element element;                         // of all planes, anything but double; the arithmetic is float32
  const void* x;                           // [planes, height, width], contiguous
  void* y;                                 // [planes, out_height, out_width]
  void* work;                              // resize_spectrum_work_bytes, 16-byte aligned
  const double *row_gains, *column_gains;  // [min(height, out_height) / 2 + 1], the same for the width
  int64_t planes;
  int height, width, out_height, out_width;
  bool two_corner;
};

// Whether the current device can run it for these sizes.
bool resize_spectrum_takes(int height, int width, int out_height, int out_width);
int64_t resize_spectrum_work_bytes(const ResizeSpectrum& problem);
// Only kernels on the stream; returns a cudaError_t.
int resize_spectrum(const ResizeSpectrum& problem, void* stream);

}  // namespace freqops::cuda
