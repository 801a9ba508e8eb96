// The FFT filter of images that are followed by zeros up to a larger grid, on CUDA: y is the first part of
// irfft2(response * rfft2(x on the grid)). With a grid that leaves the zeros room enough this is a convolution with a
// large kernel, and its adjoint is the same with the conjugate response.
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

struct FilterPadded {
  Element element;           // of x and y, anything but double; the arithmetic is float32
  const void* x;             // [images, channels, height, width], contiguous
  void* y;                   // [images, channels, out_height, out_width]; must not overlap x
  const float *real, *imag;  // [channels, grid_height, grid_width / 2 + 1]; imag is null for a real response
  void* work;                // fft_filter_padded_work_bytes, 16-byte aligned
  int64_t images;
  int64_t channels;  // 1, with every plane an image, where all share one response
  int height, width, out_height, out_width, grid_height, grid_width;  // neither image is larger than the grid
};

enum class PaddedForm : int { kNone = -1, kPlane = 0, kLines = 1 };

// The form that such a problem takes on the current device: `plane` for listed sizes (fft_filter_padded_plan.cuh), else `lines`.
PaddedForm choose_padded_form(const FilterPadded& problem);
// The side of the smallest square grid no smaller than the problem's on which the current device runs `plane`; 0: none.
int choose_padded_grid(const FilterPadded& problem);
int64_t fft_filter_padded_work_bytes(PaddedForm form, const FilterPadded& problem);
// Only kernels on the stream; returns a cudaError_t, kInvalid (fft_filter.h) for sizes that the form does not take.
int fft_filter_padded(PaddedForm form, const FilterPadded& problem, void* stream);

}  // namespace freqops::cuda
