// freqops::fft_filter_plane: the FFT filter of planes that fit in shared memory, and the question
// which ones do.
#include "../../kernels/cuda/fft_filter_plane.h"

#include <cstdint>
#include <limits>
#include <optional>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.h"

namespace freqops::cuda {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

constexpr const char* kOp = "fft_filter_plane";
constexpr int64_t kLargestSize = std::numeric_limits<int>::max();

Element element_of(const Tensor& x) {
  switch (x.scalar_type()) {
    case ScalarType::Float:
      return Element::kFloat;
    case ScalarType::Half:
      return Element::kHalf;
    case ScalarType::BFloat16:
      return Element::kBFloat16;
    default:
      STD_TORCH_CHECK(false, kOp, ": x must be float32, float16 or bfloat16");
  }
}

// Reading the response must stay inside it whatever Python passed.
void check_response(const Tensor& response, const Tensor& x) {
  const int64_t dim = response.dim();
  STD_TORCH_CHECK(response.is_cuda() && response.get_device_index() == x.get_device_index(), kOp,
                  ": response must be on the device of x");
  STD_TORCH_CHECK(response.scalar_type() == ScalarType::Float, kOp, ": response must be float32");
  STD_TORCH_CHECK(response.is_contiguous(), kOp, ": response must be contiguous");
  STD_TORCH_CHECK(dim == 2 || (dim == 3 && x.dim() >= 3 && response.size(0) == x.size(-3)), kOp,
                  ": response must be [H, W // 2 + 1] or [C, H, W // 2 + 1] with the channels of x");
  STD_TORCH_CHECK(response.size(dim - 2) == x.size(-2) && response.size(dim - 1) == x.size(-1) / 2 + 1, kOp,
                  ": response must have the half spectrum's size of x");
}

bool fft_filter_plane_supported_op(int64_t height, int64_t width) {
  if (height < 1 || width < 1 || height > kLargestSize || width > kLargestSize) return false;
  return fft_filter_plane_supported(static_cast<int>(height), static_cast<int>(width));
}

Tensor fft_filter_plane_op(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag) {
  STD_TORCH_CHECK(x.is_cuda() && x.dim() >= 2 && x.is_contiguous(), kOp,
                  ": x must be a contiguous CUDA tensor of at least 2 dimensions");
  check_response(response, x);
  if (imag) {
    check_response(*imag, x);
    STD_TORCH_CHECK(imag->dim() == response.dim(), kOp, ": imag must have the shape of response");
  }
  const int64_t height = x.size(-2), width = x.size(-1), pixels = height * width;
  STD_TORCH_CHECK(height <= kLargestSize && width <= kLargestSize, kOp, ": x must have smaller planes");
  const int64_t channels = response.dim() == 3 ? response.size(0) : 1;
  Tensor y = torch::stable::empty_like(x);
  if (x.numel() == 0) return y;

  FftFilterPlane problem{.element = element_of(x),
                         .x = x.const_data_ptr(),
                         .y = y.mutable_data_ptr(),
                         .real = response.const_data_ptr<float>(),
                         .imag = imag ? imag->const_data_ptr<float>() : nullptr,
                         .table = nullptr,
                         .images = x.numel() / pixels / channels,
                         .channels = channels,
                         .height = static_cast<int>(height),
                         .width = static_cast<int>(width)};
  // torch's allocator keeps the table alive until the stream has passed this point.
  const Tensor table = torch::stable::new_empty(response, {fft_filter_plane_table_size(problem)});
  problem.table = table.mutable_data_ptr<float>();
  launch(kOp, x, [&](cudaStream_t stream) { return fft_filter_plane(problem, stream); });
  return y;
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(freqops, m) {
  m.def("fft_filter_plane(Tensor x, Tensor response, Tensor? imag) -> Tensor");
  m.def("fft_filter_plane_supported(int height, int width) -> bool");
}

STABLE_TORCH_LIBRARY_IMPL(freqops, CUDA, m) {
  m.impl("fft_filter_plane", TORCH_BOX(&freqops::cuda::fft_filter_plane_op));
}

// Without a tensor argument there is no device to dispatch on: it is asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(freqops, CompositeExplicitAutograd, m) {
  m.impl("fft_filter_plane_supported", TORCH_BOX(&freqops::cuda::fft_filter_plane_supported_op));
}
