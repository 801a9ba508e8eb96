// The FFT filter, y = irfft2(response * rfft2(x)), of planes that fit in the shared memory of one
// block: one read and one write of device memory. Launchers; the kernel is in fft_filter_plane.cuh.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "../images.h"

namespace freqops::cuda {

struct FftFilterPlane {
  Element element;  // of x and y, anything but double; the arithmetic is float32
  // [images, channels, height, width], contiguous. They must not overlap: a pair with a NaN is read
  // again after it was written.
  const void* x;
  void* y;
  const float* real;  // [channels, height, width / 2 + 1]
  const float* imag;  // the same shape, or null for a real response
  float* table;       // scratch of fft_filter_plane_table_size floats, 8-byte aligned
  int64_t images;
  int64_t channels;  // 1, with every plane an image, where all share one response
  int height, width;
};

// Whether a kernel for this size exists, was compiled for the current device and fits its shared
// memory. False where there is no device.
bool fft_filter_plane_supported(int height, int width);

int64_t fft_filter_plane_table_size(const FftFilterPlane& problem);

// Fills the table, then filters. Two kernels on the stream, no synchronisation, no allocation: it
// can be captured in a CUDA graph. cudaErrorInvalidValue for a size without a kernel.
cudaError_t fft_filter_plane(const FftFilterPlane& problem, cudaStream_t stream);

}  // namespace freqops::cuda
