// The spectral correlation's kernels as an op. Safe to call with any argument.
#include "../../kernels/cuda/spectral_correlation.h"

#include <cstdint>
#include <tuple>

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

bool spectral_correlation_takes_op(int64_t height, int64_t width) {
  return is_plane(height, width) && spectral_correlation_takes(static_cast<int>(height), static_cast<int>(width));
}

// channels: 0, or those of x [..., C, H, W], each of which has a sum of its own.
std::tuple<Tensor, Tensor> correlate(const char* op, const Tensor& x, const Tensor& g, int64_t channels, int64_t height,
                                     int64_t width) {
  const int64_t x_height = x.size(x.dim() - 2), x_width = x.size(x.dim() - 1);
  STD_TORCH_CHECK(channels == 0 || (x.dim() >= 3 && x.size(x.dim() - 3) == channels), op,
                  ": channels must be 0 or those of x [..., C, H, W], got ", channels);
  STD_TORCH_CHECK(x.numel() > 0, op, ": x must not be empty");

  const int64_t count = channels == 0 ? 1 : channels;
  std::vector<int64_t> sizes{height, width / 2 + 1};
  if (channels != 0) sizes.insert(sizes.begin(), channels);
  const Tensor real = new_memory(x, sizes, ScalarType::Float), imag = new_memory(x, sizes, ScalarType::Float);
  launch(op, x, [&](void* stream) {
    SpectralCorrelation problem{.element = element_of(op, x),
                                .x = x.const_data_ptr(),
                                .g = g.const_data_ptr(),
                                .real = real.mutable_data_ptr<float>(),
                                .imag = imag.mutable_data_ptr<float>(),
                                .work = nullptr,
                                .images = x.numel() / (x_height * x_width) / count,
                                .channels = count,
                                .height = static_cast<int>(height),
                                .width = static_cast<int>(width),
                                .x_height = static_cast<int>(x_height),
                                .x_width = static_cast<int>(x_width),
                                .g_height = static_cast<int>(g.size(g.dim() - 2)),
                                .g_width = static_cast<int>(g.size(g.dim() - 1))};
    const Tensor work = new_work(x, spectral_correlation_work_bytes(problem));
    problem.work = work.mutable_data_ptr();
    const int error = spectral_correlation(problem, stream);
    STD_TORCH_CHECK(!is_refusal(error), op, ": planes of ", height, " x ", width, " do not fit this device");
    return error;
  });
  return {real, imag};
}

std::tuple<Tensor, Tensor> spectral_correlation_planes(const Tensor& x, const Tensor& g, int64_t channels) {
  const char* op = "spectral_correlation_planes";
  check_planes(op, "x", x);
  check_like(op, "g", g, x);
  return correlate(op, x, g, channels, x.size(x.dim() - 2), x.size(x.dim() - 1));
}

// Of x and g followed by zeros up to `grid`: the gradient of a padded filter's response.
std::tuple<Tensor, Tensor> spectral_correlation_padded_planes(const Tensor& x, const Tensor& g, int64_t channels,
                                                              std::vector<int64_t> grid) {
  const char* op = "spectral_correlation_padded_planes";
  check_planes(op, "x", x);
  check_planes(op, "g", g);
  STD_TORCH_CHECK(grid.size() == 2, op, ": grid must hold 2 numbers, got ", grid.size());
  check_plane(op, "the grid", grid[0], grid[1]);
  bool alike = g.dim() == x.dim() && g.scalar_type() == x.scalar_type() && g.get_device_index() == x.get_device_index();
  for (int64_t i = 0; alike && i < x.dim() - 2; ++i) alike = g.size(i) == x.size(i);
  STD_TORCH_CHECK(alike, op, ": g must have the dtype and the device of x and, but for the planes' size, its shape");
  const auto fits = [&](const Tensor& images) {
    return images.size(x.dim() - 2) <= grid[0] && images.size(x.dim() - 1) <= grid[1];
  };
  STD_TORCH_CHECK(fits(x) && fits(g), op, ": grid must hold the planes of x and g, got ", grid[0], " x ", grid[1]);
  return correlate(op, x, g, channels, grid[0], grid[1]);
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("spectral_correlation_takes(int height, int width) -> bool");
  m.def("spectral_correlation_planes(Tensor x, Tensor g, int channels) -> (Tensor, Tensor)");
  m.def("spectral_correlation_padded_planes(Tensor x, Tensor g, int channels, SymInt[] grid) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("spectral_correlation_planes", TORCH_BOX(&freqops::cuda::spectral_correlation_planes));
  m.impl("spectral_correlation_padded_planes", TORCH_BOX(&freqops::cuda::spectral_correlation_padded_planes));
}

// Without a tensor argument there is no device to dispatch on: it is asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("spectral_correlation_takes", TORCH_BOX(&freqops::cuda::spectral_correlation_takes_op));
}
