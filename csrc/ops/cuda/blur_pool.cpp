// The kernels of anti-aliased pooling as ops. Safe to call with any argument; which of their forms takes
// a problem is the kernels' business.
#include "../../kernels/cuda/blur_pool.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "../pool_geometry.h"
#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

// Below 2^31 planes; sizes of one plane are checked in pool_geometry.h.
void check_pooled_here(const char* op, const char* argument, const Tensor& x) {
  STD_TORCH_CHECK(on_device(x), op, ": ", argument, " must be a ", kDevice, " tensor");
  check_pooled(op, argument, x);
  const int64_t planes = x.numel() / (x.size(x.dim() - 2) * x.size(x.dim() - 1));
  STD_TORCH_CHECK(planes <= kMostPlanes, op, ": ", argument, " must have at most ", kMostPlanes, " planes, got ",
                  planes);
}

Tensor new_output(const Tensor& like, int64_t height, int64_t width, bool channels_last) {
  const PlanesLayout layout(like, height, width, channels_last);
  return new_strided_memory(like, layout.sizes, layout.strides);
}

template <class Map>
Tensor pool_forward(const char* op, const Tensor& x, const Tensor* v, const Tensor& taps_h, const Tensor& taps_w,
                    const PoolOptions& options, Map map) {
  check_pooled_here(op, "x", x);
  check_taps(op, x, taps_h, taps_w);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  if (v) check_planes_like(op, "v", *v, x, height, width);
  MaxBlurPool pool = pool_geometry(op, height, width, taps_h, taps_w, options);
  const bool channels_last = is_channels_last(x);
  const Tensor y = new_output(x, pool.blur.h.outputs, pool.blur.w.outputs, channels_last);
  if (x.numel() == 0) return y;
  const Tensor source = in_layout(x, channels_last), values = v ? in_layout(*v, channels_last) : source;
  pool.blur.x = pooled_images(op, source, channels_last);
  pool.blur.y = pooled_images(op, y, channels_last);
  pool.v = pooled_images(op, values, channels_last);
  launch(op, x, [&](void* stream) { return map(pool, stream); });
  return y;
}

Tensor blur_pool_op(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> stride,
                    std::vector<int64_t> padding, std::string padding_mode) {
  return pool_forward("blur_pool", x, nullptr, taps_h, taps_w,
                      {.stride = stride, .padding = padding, .padding_mode = padding_mode},
                      [](const MaxBlurPool& pool, void* stream) { return blur_pool(pool.blur, stream); });
}

Tensor max_blur_pool_op(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> kernel_size,
                        std::vector<int64_t> max_padding, std::vector<int64_t> stride, std::vector<int64_t> padding,
                        std::string padding_mode) {
  return pool_forward("max_blur_pool", x, nullptr, taps_h, taps_w,
                      {kernel_size, max_padding, stride, padding, padding_mode}, &max_blur_pool);
}

Tensor max_blur_pool_select_op(const Tensor& x, const Tensor& v, const Tensor& taps_h, const Tensor& taps_w,
                               std::vector<int64_t> kernel_size, std::vector<int64_t> max_padding,
                               std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  return pool_forward("max_blur_pool_select", x, &v, taps_h, taps_w,
                      {kernel_size, max_padding, stride, padding, padding_mode}, &max_blur_pool_select);
}

Tensor blur_pool_adjoint_op(const Tensor& y, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> size,
                            std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  const char* op = "blur_pool_adjoint";
  check_pooled_here(op, "y", y);
  check_taps(op, y, taps_h, taps_w);
  STD_TORCH_CHECK(size.size() == 2, op, ": size must hold 2 numbers");
  check_pooled_plane(op, "the output", size[0], size[1]);
  MaxBlurPool pool = pool_geometry(op, size[0], size[1], taps_h, taps_w,
                                   {.stride = stride, .padding = padding, .padding_mode = padding_mode});
  check_planes_like(op, "y", y, y, pool.blur.h.outputs, pool.blur.w.outputs);
  const bool channels_last = is_channels_last(y);
  const Tensor x = new_output(y, size[0], size[1], channels_last);
  if (y.numel() == 0) return x;
  const Tensor source = in_layout(y, channels_last);
  pool.blur.y = pooled_images(op, source, channels_last);
  pool.blur.x = pooled_images(op, x, channels_last);
  launch(op, y, [&](void* stream) { return blur_pool_adjoint(pool.blur, stream); });
  return x;
}

Tensor max_blur_pool_backward_op(const Tensor& x, const Tensor& y, const Tensor& taps_h, const Tensor& taps_w,
                                 std::vector<int64_t> kernel_size, std::vector<int64_t> max_padding,
                                 std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  const char* op = "max_blur_pool_backward";
  check_pooled_here(op, "x", x);
  check_taps(op, x, taps_h, taps_w);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  MaxBlurPool pool =
      pool_geometry(op, height, width, taps_h, taps_w, {kernel_size, max_padding, stride, padding, padding_mode});
  check_planes_like(op, "y", y, x, pool.blur.h.outputs, pool.blur.w.outputs);
  const bool channels_last = is_channels_last(x);
  const Tensor v = new_output(x, height, width, channels_last);
  if (x.numel() == 0) return v;
  const Tensor source = in_layout(x, channels_last), gradient = in_layout(y, channels_last);
  pool.blur.x = pooled_images(op, source, channels_last);
  pool.blur.y = pooled_images(op, gradient, channels_last);
  pool.v = pooled_images(op, v, channels_last);
  launch(op, x, [&](void* stream) { return max_blur_pool_backward(pool, stream); });
  return v;
}

// The maps that go back have the same two forms, for the same kinds.
std::string blur_pool_path(const Tensor& x, int64_t taps_h, int64_t taps_w, int64_t window_h, int64_t window_w,
                           std::vector<int64_t> stride, bool per_channel, bool) {
  const char* op = "blur_pool_path";
  STD_TORCH_CHECK(stride.size() == 2, op, ": stride must hold 2 numbers");
  const auto number = [](int64_t value) { return static_cast<int>(std::clamp<int64_t>(value, 0, kLargestPoolOption)); };
  const PoolKind kind{.element = pool_element(op, "x", x),
                      .taps_h = number(taps_h),
                      .taps_w = number(taps_w),
                      .window_h = number(window_h),
                      .window_w = number(window_w),
                      .stride_h = stride[0],
                      .stride_w = stride[1],
                      .per_channel = per_channel};
  return is_stencil_kind(kind) ? "stencil" : "generic";
}

}  // namespace
}  // namespace freqops::cuda

#ifdef FREQOPS_REPLAY
// On CUDA the ops have the schemas of ../schema.cpp.
STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def(
      "blur_pool(Tensor x, Tensor taps_h, Tensor taps_w, int[] stride, SymInt[] padding, str padding_mode) -> Tensor");
  m.def(
      "blur_pool_adjoint(Tensor y, Tensor taps_h, Tensor taps_w, SymInt[] size, int[] stride, SymInt[] padding, "
      "str padding_mode) -> Tensor");
  m.def(
      "max_blur_pool(Tensor x, Tensor taps_h, Tensor taps_w, int[] kernel_size, int[] max_padding, int[] stride, "
      "SymInt[] padding, str padding_mode) -> Tensor");
  m.def(
      "max_blur_pool_select(Tensor x, Tensor v, Tensor taps_h, Tensor taps_w, int[] kernel_size, int[] max_padding, "
      "int[] stride, SymInt[] padding, str padding_mode) -> Tensor");
  m.def(
      "max_blur_pool_backward(Tensor x, Tensor y, Tensor taps_h, Tensor taps_w, int[] kernel_size, int[] max_padding, "
      "int[] stride, SymInt[] padding, str padding_mode) -> Tensor");
}
#endif

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def(
      "blur_pool_path(Tensor x, int taps_h, int taps_w, int window_h, int window_w, int[] stride, bool per_channel, "
      "bool backward) -> str");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("blur_pool", TORCH_BOX(&freqops::cuda::blur_pool_op));
  m.impl("blur_pool_adjoint", TORCH_BOX(&freqops::cuda::blur_pool_adjoint_op));
  m.impl("max_blur_pool", TORCH_BOX(&freqops::cuda::max_blur_pool_op));
  m.impl("max_blur_pool_select", TORCH_BOX(&freqops::cuda::max_blur_pool_select_op));
  m.impl("max_blur_pool_backward", TORCH_BOX(&freqops::cuda::max_blur_pool_backward_op));
  m.impl("blur_pool_path", TORCH_BOX(&freqops::cuda::blur_pool_path));
}
