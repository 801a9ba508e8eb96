// What a replayed kernel writes lies between two margins, so that a store beside it is found. All of
// it starts as NaN: what the kernel leaves out shows in the result.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

namespace freqops::cuda {

inline constexpr int64_t kMargin = 16384;  // elements

// Buffers of the op that this thread is in.
inline std::vector<torch::stable::Tensor>& replay_buffers() {
  thread_local std::vector<torch::stable::Tensor> buffers;
  return buffers;
}

// What starts at an element of a buffer. Not a view of it: memory of a device is none.
inline torch::stable::Tensor part_of(const torch::stable::Tensor& buffer, int64_t start,
                                     const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  using torch::headeronly::IntHeaderOnlyArrayRef;
  using torch::stable::detail::from;
  std::array<StableIValue, 5> stack{from(torch::stable::new_empty(buffer, {0})), from(buffer), from(start),
                                    from(IntHeaderOnlyArrayRef(sizes)), from(IntHeaderOnlyArrayRef(strides))};
  STABLE_TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher("aten::set_", "source_Tensor_storage_offset", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<torch::stable::Tensor>(stack[0]);
}

// Strides are those of some order of the axes, without gaps.
inline torch::stable::Tensor new_strided_memory(const torch::stable::Tensor& like, const std::vector<int64_t>& sizes,
                                                const std::vector<int64_t>& strides,
                                                torch::headeronly::ScalarType type) {
  int64_t elements = 1;
  for (const int64_t size : sizes) elements *= size;
  const torch::stable::Tensor buffer =
      torch::stable::new_empty(like, std::vector<int64_t>{elements + 2 * kMargin}, type);
  std::memset(buffer.mutable_data_ptr(), 0xff, static_cast<size_t>(buffer.numel() * buffer.element_size()));
  replay_buffers().push_back(buffer);
  return part_of(buffer, kMargin, sizes, strides);
}
inline torch::stable::Tensor new_memory(const torch::stable::Tensor& like, const std::vector<int64_t>& sizes,
                                        torch::headeronly::ScalarType type) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<int64_t>(sizes[i], 1);
  return new_strided_memory(like, sizes, strides, type);
}
inline torch::stable::Tensor new_strided_memory(const torch::stable::Tensor& like, const std::vector<int64_t>& sizes,
                                                const std::vector<int64_t>& strides) {
  return new_strided_memory(like, sizes, strides, like.scalar_type());
}

inline void check_replay_memory(const char* op) {
  for (const torch::stable::Tensor& buffer : replay_buffers()) {
    const int64_t margin = kMargin * buffer.element_size(), end = buffer.numel() * buffer.element_size();
    const auto* bytes = static_cast<const unsigned char*>(buffer.const_data_ptr());
    const auto untouched = [](unsigned char byte) { return byte == 0xff; };
    const bool intact =
        std::all_of(bytes, bytes + margin, untouched) && std::all_of(bytes + end - margin, bytes + end, untouched);
    STD_TORCH_CHECK(intact, op, ": the replayed kernel wrote beside its memory");
  }
  replay_buffers().clear();
}

}  // namespace freqops::cuda
