#include "../kernels/blur_pool.h"

#include "../kernels/cpu/dispatch.h"
#include "pool_geometry.h"
#include "tensor_images.h"

namespace freqops {
namespace {

// Larger than the caches; and glibc maps anything larger anew on every call.
bool is_large(const Tensor& y) { return size_t(y.numel()) * y.element_size() >= size_t{32} << 20; }

// The whole of x, or of y where that is larger, per item: what a thread has to do for it.
template <class Kernel, class Items, class ScratchBytes>
void run_pool(const MaxBlurPool& pool, int64_t elements, Kernel kernel, Items items, ScratchBytes scratch_bytes) {
  const int64_t count = items(pool);
  if (count == 0) return;
  run_parallel(count, grain_of(std::max<int64_t>(1, elements / count)), scratch_bytes(pool),
               [&](int64_t begin, int64_t end, void* scratch) { kernel(pool, begin, end, scratch); });
}

// y = blur of x, of its maxima, or of v at its maxima.
void run_forward(const Tensor& x, const MaxBlurPool& pool) {
  visit_compute_type(x, [&](auto zero) {
    const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
    run_pool(pool, x.numel(), kernels.blur_pool, kernels.blur_pool_items, kernels.blur_pool_scratch);
  });
}
void run_adjoint(const Tensor& v, MaxBlurPool& pool) {
  pool.blur.stream = is_large(v);
  visit_compute_type(v, [&](auto zero) {
    const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
    run_pool(pool, v.numel(), kernels.blur_pool_adjoint, kernels.blur_pool_adjoint_items,
             kernels.blur_pool_adjoint_scratch);
  });
}

Tensor new_output(const Tensor& like, int64_t height, int64_t width, bool channels_last) {
  const Tensor y = new_planes(like, height, width, channels_last);
  if (is_large(y)) prefer_huge_pages(y.mutable_data_ptr(), y.numel() * y.element_size());
  return y;
}

void check_on_cpu(const char* op, const char* argument, const Tensor& x) {
  STD_TORCH_CHECK(x.is_cpu(), op, ": ", argument, " must be a CPU tensor");
  check_pooled(op, argument, x);
}

Tensor pool_forward(const char* op, const Tensor& x, const Tensor* v, const Tensor& taps_h, const Tensor& taps_w,
                    const PoolOptions& options) {
  check_on_cpu(op, "x", x);
  check_taps(op, x, taps_h, taps_w);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  if (v) check_planes_like(op, "v", *v, x, height, width);
  MaxBlurPool pool = pool_geometry(op, height, width, taps_h, taps_w, options);
  const bool channels_last = is_channels_last(x);
  Tensor y = new_output(x, pool.blur.h.outputs, pool.blur.w.outputs, channels_last);
  if (x.numel() == 0) return y;
  const Tensor source = in_layout(x, channels_last);
  pool.blur.x = pooled_images(op, source, channels_last);
  pool.blur.y = pooled_images(op, y, channels_last);
  std::optional<Tensor> values;
  if (v) {
    values = in_layout(*v, channels_last);
    pool.v = pooled_images(op, *values, channels_last);
  }
  run_forward(source, pool);
  return y;
}

Tensor blur_pool(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> stride,
                 std::vector<int64_t> padding, std::string padding_mode) {
  return pool_forward("blur_pool", x, nullptr, taps_h, taps_w,
                      {.stride = stride, .padding = padding, .padding_mode = padding_mode});
}

Tensor max_blur_pool(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> kernel_size,
                     std::vector<int64_t> max_padding, std::vector<int64_t> stride, std::vector<int64_t> padding,
                     std::string padding_mode) {
  return pool_forward("max_blur_pool", x, nullptr, taps_h, taps_w,
                      {kernel_size, max_padding, stride, padding, padding_mode});
}

Tensor max_blur_pool_select(const Tensor& x, const Tensor& v, const Tensor& taps_h, const Tensor& taps_w,
                            std::vector<int64_t> kernel_size, std::vector<int64_t> max_padding,
                            std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  return pool_forward("max_blur_pool_select", x, &v, taps_h, taps_w,
                      {kernel_size, max_padding, stride, padding, padding_mode});
}

Tensor blur_pool_adjoint(const Tensor& y, const Tensor& taps_h, const Tensor& taps_w, std::vector<int64_t> size,
                         std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  const char* op = "blur_pool_adjoint";
  check_on_cpu(op, "y", y);
  check_taps(op, y, taps_h, taps_w);
  STD_TORCH_CHECK(size.size() == 2, op, ": size must hold 2 numbers");
  check_pooled_plane(op, "the output", size[0], size[1]);
  MaxBlurPool pool = pool_geometry(op, size[0], size[1], taps_h, taps_w,
                                   {.stride = stride, .padding = padding, .padding_mode = padding_mode});
  check_planes_like(op, "y", y, y, pool.blur.h.outputs, pool.blur.w.outputs);
  const bool channels_last = is_channels_last(y);
  Tensor v = new_output(y, size[0], size[1], channels_last);
  if (y.numel() == 0) return v;
  const Tensor source = in_layout(y, channels_last);
  pool.blur.y = pooled_images(op, source, channels_last);
  pool.v = pooled_images(op, v, channels_last);
  run_adjoint(v, pool);
  return v;
}

Tensor max_blur_pool_backward(const Tensor& x, const Tensor& y, const Tensor& taps_h, const Tensor& taps_w,
                              std::vector<int64_t> kernel_size, std::vector<int64_t> max_padding,
                              std::vector<int64_t> stride, std::vector<int64_t> padding, std::string padding_mode) {
  const char* op = "max_blur_pool_backward";
  check_on_cpu(op, "x", x);
  check_taps(op, x, taps_h, taps_w);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  MaxBlurPool pool =
      pool_geometry(op, height, width, taps_h, taps_w, {kernel_size, max_padding, stride, padding, padding_mode});
  check_planes_like(op, "y", y, x, pool.blur.h.outputs, pool.blur.w.outputs);
  const bool channels_last = is_channels_last(x);
  Tensor v = new_output(x, height, width, channels_last);
  if (x.numel() == 0) return v;
  const Tensor source = in_layout(x, channels_last), gradient = in_layout(y, channels_last);
  pool.blur.x = pooled_images(op, source, channels_last);
  pool.blur.y = pooled_images(op, gradient, channels_last);
  pool.v = pooled_images(op, v, channels_last);
  run_adjoint(v, pool);
  return v;
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) {
  m.impl("blur_pool", TORCH_BOX(&freqops::blur_pool));
  m.impl("blur_pool_adjoint", TORCH_BOX(&freqops::blur_pool_adjoint));
  m.impl("max_blur_pool", TORCH_BOX(&freqops::max_blur_pool));
  m.impl("max_blur_pool_select", TORCH_BOX(&freqops::max_blur_pool_select));
  m.impl("max_blur_pool_backward", TORCH_BOX(&freqops::max_blur_pool_backward));
}
