// The ops of anti-aliased pooling, the same for every device: checks, layouts, outputs. What differs is a Device with
//
//   check(op, argument, x)            x is on the device and small enough
//   new_output(like, layout)          memory for a kernel to write
//   run(op, map, on, pool)            the kernel of that map, on the device of a tensor
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pool_geometry.h"

namespace freqops {

template <class Device>
struct PoolOps {
  using Numbers = std::vector<int64_t>;

  static Tensor blur_pool(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, Numbers stride, Numbers padding,
                          std::string padding_mode) {
    return forward("blur_pool", PoolMap::kBlur, x, nullptr, taps_h, taps_w,
                   {.stride = stride, .padding = padding, .padding_mode = padding_mode});
  }

  static Tensor max_blur_pool(const Tensor& x, const Tensor& taps_h, const Tensor& taps_w, Numbers kernel_size,
                              Numbers max_padding, Numbers stride, Numbers padding, std::string padding_mode) {
    return forward("max_blur_pool", PoolMap::kMaxBlur, x, nullptr, taps_h, taps_w,
                   {kernel_size, max_padding, stride, padding, padding_mode});
  }

  static Tensor max_blur_pool_select(const Tensor& x, const Tensor& v, const Tensor& taps_h, const Tensor& taps_w,
                                     Numbers kernel_size, Numbers max_padding, Numbers stride, Numbers padding,
                                     std::string padding_mode) {
    return forward("max_blur_pool_select", PoolMap::kMaxBlurSelect, x, &v, taps_h, taps_w,
                   {kernel_size, max_padding, stride, padding, padding_mode});
  }

  static Tensor blur_pool_adjoint(const Tensor& y, const Tensor& taps_h, const Tensor& taps_w, Numbers size,
                                  Numbers stride, Numbers padding, std::string padding_mode) {
    const char* op = "blur_pool_adjoint";
    Device::check(op, "y", y);
    check_taps(op, y, taps_h, taps_w);
    STD_TORCH_CHECK(size.size() == 2, op, ": size must hold 2 numbers");
    check_pooled_plane(op, "the output", size[0], size[1]);
    MaxBlurPool pool = pool_geometry(op, size[0], size[1], taps_h, taps_w,
                                     {.stride = stride, .padding = padding, .padding_mode = padding_mode});
    check_planes_like(op, "y", y, y, pool.blur.h.outputs, pool.blur.w.outputs);
    const bool channels_last = is_channels_last(y);
    const Tensor x = Device::new_output(y, {y, size[0], size[1], channels_last});
    if (y.numel() == 0) return x;
    const Tensor source = in_layout(y, channels_last);
    pool.blur.y = pooled_images(op, source, channels_last);
    pool.blur.x = pool.v = pooled_images(op, x, channels_last);
    Device::run(op, PoolMap::kBlurAdjoint, x, pool);
    return x;
  }

  static Tensor max_blur_pool_backward(const Tensor& x, const Tensor& y, const Tensor& taps_h, const Tensor& taps_w,
                                       Numbers kernel_size, Numbers max_padding, Numbers stride, Numbers padding,
                                       std::string padding_mode) {
    const char* op = "max_blur_pool_backward";
    Device::check(op, "x", x);
    check_taps(op, x, taps_h, taps_w);
    const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
    MaxBlurPool pool =
        pool_geometry(op, height, width, taps_h, taps_w, {kernel_size, max_padding, stride, padding, padding_mode});
    check_planes_like(op, "y", y, x, pool.blur.h.outputs, pool.blur.w.outputs);
    const bool channels_last = is_channels_last(x);
    const Tensor v = Device::new_output(x, {x, height, width, channels_last});
    if (x.numel() == 0) return v;
    const Tensor source = in_layout(x, channels_last), gradient = in_layout(y, channels_last);
    pool.blur.x = pooled_images(op, source, channels_last);
    pool.blur.y = pooled_images(op, gradient, channels_last);
    pool.v = pooled_images(op, v, channels_last);
    Device::run(op, PoolMap::kMaxBlurBackward, v, pool);
    return v;
  }

 private:
  static Tensor forward(const char* op, PoolMap map, const Tensor& x, const Tensor* v, const Tensor& taps_h,
                        const Tensor& taps_w, const PoolOptions& options) {
    Device::check(op, "x", x);
    check_taps(op, x, taps_h, taps_w);
    const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
    if (v) check_planes_like(op, "v", *v, x, height, width);
    MaxBlurPool pool = pool_geometry(op, height, width, taps_h, taps_w, options);
    const bool channels_last = is_channels_last(x);
    const Tensor y = Device::new_output(x, {x, pool.blur.h.outputs, pool.blur.w.outputs, channels_last});
    if (x.numel() == 0) return y;
    const Tensor source = in_layout(x, channels_last);
    std::optional<Tensor> values;
    pool.blur.x = pooled_images(op, source, channels_last);
    pool.blur.y = pooled_images(op, y, channels_last);
    if (v) {
      values = in_layout(*v, channels_last);
      pool.v = pooled_images(op, *values, channels_last);
    }
    Device::run(op, map, source, pool);
    return y;
  }
};

// The schemas: on the last two axes; padding is [before, after] of height, then of width. SymInt: sizes may be traced.
template <class Library>
void define_pool_ops(Library& m) {
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

template <class Device, class Library>
void implement_pool_ops(Library& m) {
  using Ops = PoolOps<Device>;
  m.impl("blur_pool", TORCH_BOX(&Ops::blur_pool));
  m.impl("blur_pool_adjoint", TORCH_BOX(&Ops::blur_pool_adjoint));
  m.impl("max_blur_pool", TORCH_BOX(&Ops::max_blur_pool));
  m.impl("max_blur_pool_select", TORCH_BOX(&Ops::max_blur_pool_select));
  m.impl("max_blur_pool_backward", TORCH_BOX(&Ops::max_blur_pool_backward));
}

}  // namespace freqops
