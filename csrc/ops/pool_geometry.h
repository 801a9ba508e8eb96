// What the bindings of anti-aliased pooling have in common, on every device: from tensors and lists of the schema to the
// structs of kernels/blur_pool.h, with each size checked so that no kernel reads out of bounds whatever is passed.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "../kernels/blur_pool.h"
#include "tensors.h"

namespace freqops {

// The numbers that a schema passes on, height before width.
struct PoolOptions {
  std::vector<int64_t> window{1, 1}, max_padding{0, 0};
  std::vector<int64_t> stride, padding;
  std::string padding_mode;
};

inline constexpr int64_t kLargestPooledPlane = int64_t{1} << 26;
inline constexpr int64_t kLargestPoolOption = int64_t{1} << 26;  // taps, strides, padding: sums stay far from overflow

inline Element pool_element(const char* op, const char* argument, const Tensor& x) {
  const std::optional<Element> element = element_of(x);
  STD_TORCH_CHECK(element.has_value(), op, ": ", argument, " must be float32, float64, float16 or bfloat16");
  return *element;
}

inline void check_pooled_plane(const char* op, const char* what, int64_t height, int64_t width) {
  STD_TORCH_CHECK(height >= 1 && width >= 1 && height <= kLargestPooledPlane / width, op, ": a plane of ", what,
                  " must have 1 to ", kLargestPooledPlane, " elements, got ", height, " x ", width);
}

inline void check_pooled(const char* op, const char* argument, const Tensor& x) {
  pool_element(op, argument, x);
  STD_TORCH_CHECK(x.dim() >= 2, op, ": ", argument, " must have at least 2 dimensions, got ", x.dim());
  check_pooled_plane(op, argument, x.size(x.dim() - 2), x.size(x.dim() - 1));
}

// [N, C, H, W] in the order N, H, W, C, and not contiguous at the same time.
inline bool is_channels_last(const Tensor& x) {
  if (x.dim() != 4 || x.is_contiguous()) return false;
  const int64_t expected[4] = {x.size(1) * x.size(2) * x.size(3), 1, x.size(1) * x.size(3), x.size(1)};
  for (int i = 0; i < 4; ++i) {
    if (x.size(i) != 1 && x.stride(i) != expected[i]) return false;
  }
  return true;
}

// Sizes and strides of a tensor with x's leading sizes and planes of height x width, contiguous or channels_last.
struct PlanesLayout {
  std::vector<int64_t> sizes, strides;

  PlanesLayout(const Tensor& x, int64_t height, int64_t width, bool channels_last)
      : sizes(x.dim()), strides(x.dim(), 1) {
    for (int64_t i = 0; i < x.dim() - 2; ++i) sizes[i] = x.size(i);
    sizes[x.dim() - 2] = height;
    sizes[x.dim() - 1] = width;
    if (channels_last) {
      strides = {sizes[1] * height * width, 1, width * sizes[1], sizes[1]};
    } else {
      for (int64_t i = x.dim() - 2; i >= 0; --i) strides[i] = strides[i + 1] * std::max<int64_t>(sizes[i + 1], 1);
    }
  }
};

// A new tensor of that layout and x's dtype.
inline Tensor new_planes(const Tensor& x, int64_t height, int64_t width, bool channels_last) {
  const PlanesLayout layout(x, height, width, channels_last);
  return new_strided(x, layout.sizes, layout.strides);
}

// The tensor itself where it lies as asked, else a copy that does.
inline Tensor in_layout(const Tensor& x, bool channels_last) {
  if (channels_last ? is_channels_last(x) : x.is_contiguous()) return x;
  if (!channels_last) return torch::stable::contiguous(x);
  Tensor copy = new_planes(x, x.size(2), x.size(3), true);
  torch::stable::copy_(copy, x);
  return copy;
}

// The planes of a tensor that is contiguous or channels_last.
inline Images pooled_images(const char* op, const Tensor& x, bool channels_last) {
  Images images{};
  images.data = const_cast<void*>(x.const_data_ptr());
  images.element = pool_element(op, "x", x);
  images.height = x.size(x.dim() - 2);
  images.width = x.size(x.dim() - 1);
  images.channels = x.dim() > 2 ? x.size(x.dim() - 3) : 1;
  const int64_t image = images.channels * images.height * images.width;
  images.batch = image ? x.numel() / image : 0;
  images.batch_stride = image;
  images.channel_stride = channels_last ? 1 : images.height * images.width;
  images.column_stride = channels_last ? images.channels : 1;
  images.row_stride = images.width * images.column_stride;
  return images;
}

// Contiguous lines, taken as planes of equally many whatever the shape says: enough to fill vectors, and few enough that
// the scratch of a plane stays small and other threads have planes too.
inline Images lines_in_planes(const char* op, const Tensor& x, int64_t width) {
  const int64_t lines = x.numel() / width;
  int64_t height = std::min<int64_t>(lines, 64);
  while (lines % height != 0) --height;
  const int64_t plane = height * width;
  return {const_cast<void*>(x.const_data_ptr()),
          pool_element(op, "x", x),
          lines / height,
          1,
          height,
          width,
          plane,
          plane,
          width,
          1};
}

inline PaddingMode padding_mode_of(const char* op, const std::string& name) {
  if (name == "reflect") return PaddingMode::kReflect;
  if (name == "replicate") return PaddingMode::kReplicate;
  if (name == "circular") return PaddingMode::kCircular;
  STD_TORCH_CHECK(name == "zeros", op, ": padding_mode must be reflect, replicate, zeros or circular, got ", name);
  return PaddingMode::kZeros;
}

// [k], or [C, k] for the C channels of x; of the compute type, on x's device.
inline void check_taps(const char* op, const Tensor& x, const Tensor& taps_h, const Tensor& taps_w) {
  const ScalarType compute = x.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  for (const Tensor* taps : {&taps_h, &taps_w}) {
    STD_TORCH_CHECK(taps->dim() == 1 || taps->dim() == 2, op, ": taps must have 1 or 2 dimensions, got ", taps->dim());
    STD_TORCH_CHECK(taps->dim() == taps_h.dim(), op, ": taps of both axes must be per channel, or neither");
    STD_TORCH_CHECK(taps->dim() == 1 || (x.dim() > 2 && taps->size(0) == x.size(x.dim() - 3)), op,
                    ": taps per channel must be [C, k] for the C channels of x");
    const int64_t count = taps->size(taps->dim() - 1);
    STD_TORCH_CHECK(count >= 1 && count <= kLargestPoolOption, op, ": taps must hold at least 1 tap, got ", count);
    STD_TORCH_CHECK(taps->scalar_type() == compute && taps->is_contiguous(), op,
                    ": taps must be contiguous and of the compute dtype of x");
    STD_TORCH_CHECK(taps->is_cpu() == x.is_cpu() && taps->get_device_index() == x.get_device_index(), op,
                    ": taps must be on the device of x");
  }
}

// The map of maxima of an axis of `size` samples, for a window at stride 1.
inline int64_t maxima(const char* op, int64_t size, int64_t window, int64_t padding) {
  STD_TORCH_CHECK(window >= 1 && window <= kLargestPoolOption, op, ": kernel_size must be at least 1, got ", window);
  STD_TORCH_CHECK(padding >= 0 && 2 * padding <= window, op, ": max_padding must be 0 to half of kernel_size, got ",
                  padding);
  const int64_t count = size + 2 * padding - window + 1;
  STD_TORCH_CHECK(count >= 1, op, ": kernel_size ", window, " does not fit ", size, " samples with max_padding ",
                  padding);
  return count;
}

inline BlurAxis blur_axis(const char* op, int64_t size, int64_t taps, int64_t stride, int64_t before, int64_t after,
                          PaddingMode mode) {
  STD_TORCH_CHECK(stride >= 1 && stride <= kLargestPoolOption, op, ": stride must be at least 1, got ", stride);
  STD_TORCH_CHECK(std::max(std::abs(before), std::abs(after)) <= kLargestPoolOption, op, ": padding is too large");
  const int64_t positions = size + before + after - taps;
  STD_TORCH_CHECK(positions >= 0, op, ": ", taps, " taps do not fit ", size, " samples with padding ", before, " and ",
                  after);
  return {size, positions / stride + 1, static_cast<int>(taps), stride, before, mode};
}

// Everything but the images, for planes of height x width before the maximum.
inline MaxBlurPool pool_geometry(const char* op, int64_t height, int64_t width, const Tensor& taps_h,
                                 const Tensor& taps_w, const PoolOptions& options) {
  STD_TORCH_CHECK(options.stride.size() == 2 && options.padding.size() == 4 && options.window.size() == 2 &&
                      options.max_padding.size() == 2,
                  op, ": kernel_size, max_padding and stride must hold 2 numbers and padding 4");
  const PaddingMode mode = padding_mode_of(op, options.padding_mode);
  MaxBlurPool pool{};
  pool.max_h = {static_cast<int>(options.window[0]), static_cast<int>(options.max_padding[0])};
  pool.max_w = {static_cast<int>(options.window[1]), static_cast<int>(options.max_padding[1])};
  BlurPool& blur = pool.blur;
  blur.h = blur_axis(op, maxima(op, height, options.window[0], options.max_padding[0]), taps_h.size(taps_h.dim() - 1),
                     options.stride[0], options.padding[0], options.padding[1], mode);
  blur.w = blur_axis(op, maxima(op, width, options.window[1], options.max_padding[1]), taps_w.size(taps_w.dim() - 1),
                     options.stride[1], options.padding[2], options.padding[3], mode);
  check_pooled_plane(op, "the output", blur.h.outputs, blur.w.outputs);
  blur.taps_h = taps_h.const_data_ptr();
  blur.taps_w = taps_w.const_data_ptr();
  blur.per_channel = taps_h.dim() == 2;
  return pool;
}

// A tensor that has to have the leading sizes and the dtype of x, and planes of height x width.
inline void check_planes_like(const char* op, const char* argument, const Tensor& tensor, const Tensor& x,
                              int64_t height, int64_t width) {
  bool fits = tensor.dim() == x.dim() && tensor.scalar_type() == x.scalar_type() && tensor.is_cpu() == x.is_cpu() &&
              tensor.get_device_index() == x.get_device_index();
  for (int64_t i = 0; fits && i < x.dim() - 2; ++i) fits = tensor.size(i) == x.size(i);
  fits = fits && tensor.size(x.dim() - 2) == height && tensor.size(x.dim() - 1) == width;
  STD_TORCH_CHECK(fits, op, ": ", argument,
                  " must have the dtype, the device and the leading sizes of x and planes of ", height, " x ", width);
}

}  // namespace freqops
