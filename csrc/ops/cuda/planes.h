// What ops over planes check of their arguments, so that no kernel reads out of bounds whatever is
// passed to them.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "../tensors.h"
#include "launch.h"

namespace freqops::cuda {

// As everywhere in freqops; positions in a plane are 32-bit numbers.
inline constexpr int64_t kLargestPlane = int64_t{1} << 26;
inline constexpr int64_t kMostPlanes = std::numeric_limits<int>::max();
inline constexpr uintptr_t kAlignment = 16;  // bytes, for loads of several elements

inline bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % kAlignment == 0; }

inline bool is_plane(int64_t height, int64_t width) {
  return height >= 1 && width >= 1 && height <= kLargestPlane && width <= kLargestPlane / height;
}

inline void check_plane(const char* op, const char* argument, int64_t height, int64_t width) {
  STD_TORCH_CHECK(is_plane(height, width), op, ": a plane of ", argument, " must have 1 to ", kLargestPlane,
                  " elements, got ", height, " x ", width);
}

// [..., H, W], contiguous, on the device.
inline void check_planes(const char* op, const char* argument, const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(on_device(x) && x.is_contiguous() && x.dim() >= 2, op, ": ", argument, " must be a contiguous ",
                  kDevice, " tensor of at least 2 dimensions");
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  check_plane(op, argument, height, width);
  const int64_t planes = x.numel() / (height * width);
  STD_TORCH_CHECK(planes <= kMostPlanes, op, ": ", argument, " must have at most ", kMostPlanes, " planes, got ",
                  planes);
}

inline bool same_sizes(const torch::stable::Tensor& a, const torch::stable::Tensor& b) {
  bool same = a.dim() == b.dim() && a.get_device_index() == b.get_device_index();
  for (int64_t i = 0; same && i < a.dim(); ++i) same = a.size(i) == b.size(i);
  return same;
}

// A second operand that goes with x value by value.
inline void check_like(const char* op, const char* argument, const torch::stable::Tensor& tensor,
                       const torch::stable::Tensor& x) {
  check_planes(op, argument, tensor);
  STD_TORCH_CHECK(same_sizes(tensor, x) && tensor.scalar_type() == x.scalar_type(), op, ": ", argument,
                  " must have the shape, the dtype and the device of the other operand");
}

inline Element element_of(const char* op, const torch::stable::Tensor& x) {
  const std::optional<Element> element = freqops::element_of(x);
  STD_TORCH_CHECK(element && *element != Element::kDouble, op, ": x must be float32, float16 or bfloat16");
  return *element;
}

// Images as the ops lay them out, without memory.
inline Images images_like(Element element, const std::vector<int64_t>& size, int64_t height, int64_t width,
                          bool channels_last) {
  const int64_t channels = size[1], inner = channels_last ? channels : 1;
  return {.data = nullptr,
          .element = element,
          .batch = size[0],
          .channels = channels,
          .height = height,
          .width = width,
          .batch_stride = channels * height * width,
          .channel_stride = channels_last ? 1 : height * width,
          .row_stride = width * inner,
          .column_stride = inner};
}

// Scratch of so many bytes.
inline torch::stable::Tensor new_work(const torch::stable::Tensor& like, int64_t bytes) {
  constexpr int64_t kFloat = sizeof(float);
  return new_memory(like, {(bytes + kFloat - 1) / kFloat}, torch::headeronly::ScalarType::Float);
}

}  // namespace freqops::cuda
