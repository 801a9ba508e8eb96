// The fused FFT filter on CUDA: y[r] = irfft2(response[r] * rfft2(x)) with one forward transform for
// all responses r, and on request x - y[r] beside it. What every form of the kernel takes, and the
// entry points for layer 2. The forms differ in where a plane lives while it is worked on:
//
//   plane      two real planes a + ib in the shared memory of one block   fft_filter_plane.cuh
//   even_odd   one plane, even and odd columns as real and imaginary part, in the shared memory of
//              one block or of a cluster of them                          fft_filter_even_odd.cuh
//   lines      any size, planned at run time                              fft_filter_lines.cuh
//
// The first two are compiled for listed sizes; the last takes the rest.
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

// What functions here return where they cannot do what was asked: cudaErrorInvalidValue.
inline constexpr int kInvalid = 1;

enum class Form : int { kNone = -1, kPlane = 0, kEvenOdd = 1, kLines = 2 };

// Sizes of one problem; what the choice of a form and of the scratch depends on.
struct FilterShape {
  int64_t images;
  int64_t channels;  // 1, with every plane an image, where all share one response
  int height, width;
  int responses;
  bool complex_response;
  bool high;  // x - y[r] is wanted beside y[r]

  // Whether a kernel comes back to the spectrum.
  bool many() const { return responses > 1 || high; }
  int64_t planes() const { return images * channels; }
  int64_t pixels() const { return static_cast<int64_t>(height) * width; }
  int64_t elements() const { return planes() * pixels(); }
};

struct FilterProblem {
  FilterShape shape;
  Element element;  // of x, y and high, anything but double; the arithmetic is float32
  // x is [images, channels, height, width], y and high are [responses, *x.shape], all contiguous.
  // They must not overlap: a pair with a NaN is read again after it was written.
  // All memory starts at a multiple of 16 bytes: kernels move several elements at once.
  const void* x;
  void* y;
  void* high;          // null unless shape.high
  const float* table;  // filled by fill_response_table
  void* work;          // filter_work_bytes
};

// The form that is fastest for this size among those the current device can run; kNone if none can
// (axes whose line does not fit shared memory), and where there is no device.
Form choose_form(int height, int width);
bool form_takes(Form form, int height, int width);

// Floats of the table of all responses and channels, in the order that the form's kernels read.
int64_t response_table_size(Form form, const FilterShape& shape);
// real and imag: [responses, channels, height, width / 2 + 1]; imag null for a real response.
int fill_response_table(Form form, const FilterShape& shape, const float* real, const float* imag, float* table,
                        void* stream);

int64_t filter_work_bytes(Form form, const FilterShape& shape);
// Only kernels on the stream: no synchronisation, no allocation, so it can be captured in a graph.
// Returns a cudaError_t; kInvalid for a size that the form does not take.
int fft_filter(Form form, const FilterProblem& problem, void* stream);

}  // namespace freqops::cuda
