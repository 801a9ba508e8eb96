// The kernels that resize spectra as an op. Safe to call with any argument.
#include "../../kernels/cuda/resize_spectrum.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

bool resize_spectrum_takes_op(int64_t height, int64_t width, int64_t out_height, int64_t out_width) {
  return is_plane(height, width) && is_plane(out_height, out_width) &&
         resize_spectrum_takes(static_cast<int>(height), static_cast<int>(width), static_cast<int>(out_height),
                               static_cast<int>(out_width));
}

const double* checked_gains(const char* op, const char* argument, const Tensor& gains, const Tensor& x, int64_t n,
                            int64_t m) {
  const int64_t count = std::min(n, m) / 2 + 1;
  STD_TORCH_CHECK(on_device(gains) && gains.get_device_index() == x.get_device_index() && gains.is_contiguous() &&
                      gains.scalar_type() == ScalarType::Double,
                  op, ": ", argument, " must be contiguous, float64 and on the device of x");
  STD_TORCH_CHECK(gains.dim() == 1 && gains.size(0) == count, op, ": ", argument, " must hold ", count, " gains");
  return static_cast<const double*>(gains.const_data_ptr());
}

// [..., H, W] to [..., h, w] for size (h, w). Signals are planes of height 1, with one gain for their rows.
Tensor resize_spectrum_planes(const Tensor& x, const Tensor& row_gains, const Tensor& column_gains,
                              std::vector<int64_t> size, bool two_corner) {
  const char* op = "resize_spectrum_planes";
  check_planes(op, "x", x);
  STD_TORCH_CHECK(size.size() == 2, op, ": size must hold 2 numbers, got ", size.size());
  check_plane(op, "the output", size[0], size[1]);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  const double* gains_h = checked_gains(op, "row_gains", row_gains, x, height, size[0]);
  const double* gains_w = checked_gains(op, "column_gains", column_gains, x, width, size[1]);

  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < x.dim() - 2; ++i) sizes.push_back(x.size(i));
  sizes.insert(sizes.end(), size.begin(), size.end());
  const Tensor y = new_memory(x, sizes, x.scalar_type());
  if (x.numel() == 0) return y;
  launch(op, x, [&](void* stream) {
    ResizeSpectrum problem{.element = element_of(op, x),
                           .x = x.const_data_ptr(),
                           .y = y.mutable_data_ptr(),
                           .work = nullptr,
                           .row_gains = gains_h,
                           .column_gains = gains_w,
                           .planes = x.numel() / (height * width),
                           .height = static_cast<int>(height),
                           .width = static_cast<int>(width),
                           .out_height = static_cast<int>(size[0]),
                           .out_width = static_cast<int>(size[1]),
                           .two_corner = two_corner};
    const Tensor work = new_work(x, resize_spectrum_work_bytes(problem));
    problem.work = work.mutable_data_ptr();
    const int error = resize_spectrum(problem, stream);
    STD_TORCH_CHECK(!is_refusal(error), op, ": planes of ", height, " x ", width, " and ", size[0], " x ", size[1],
                    " do not fit this device");
    return error;
  });
  return y;
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("resize_spectrum_takes(int height, int width, int out_height, int out_width) -> bool");
  m.def(
      "resize_spectrum_planes(Tensor x, Tensor row_gains, Tensor column_gains, SymInt[] size, bool two_corner) -> "
      "Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("resize_spectrum_planes", TORCH_BOX(&freqops::cuda::resize_spectrum_planes));
}

// Without a tensor argument there is no device to dispatch on: it is asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("resize_spectrum_takes", TORCH_BOX(&freqops::cuda::resize_spectrum_takes_op));
}
