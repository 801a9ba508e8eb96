// The spectral correlation on CUDA: for each channel the sum over all images of conj(X) G, with X and
// G the transforms of x and g, weighted so that it is the gradient of a filter's response.
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

struct SpectralCorrelation {
  Element element;     // of x and g, anything but double; the arithmetic is float32
  const void *x, *g;   // [images, channels, x_height, x_width] and [images, channels, g_height, g_width], contiguous
  float *real, *imag;  // [channels, height, width / 2 + 1]
  void* work;          // spectral_correlation_work_bytes, 16-byte aligned
  int64_t images;
  int64_t channels;                          // 1, with every plane an image, where all share one response
  int height, width;                         // of the transforms
  int x_height, x_width, g_height, g_width;  // of the images, which zeros follow up to that: no larger
};

// Whether the current device can run it for this size.
bool spectral_correlation_takes(int height, int width);
int64_t spectral_correlation_work_bytes(const SpectralCorrelation& problem);
// Only kernels on the stream; returns a cudaError_t. The order of every sum depends on the shape and
// the device alone: the same bits each time.
int spectral_correlation(const SpectralCorrelation& problem, void* stream);

}  // namespace freqops::cuda
