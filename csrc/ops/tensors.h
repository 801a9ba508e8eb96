// Between tensors and what the kernels know, for every device: element types, and memory of given strides.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "../kernels/images.h"

namespace freqops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline std::optional<Element> element_of(const Tensor& x) {
  switch (x.scalar_type()) {
    case ScalarType::Float:
      return Element::kFloat;
    case ScalarType::Double:
      return Element::kDouble;
    case ScalarType::Half:
      return Element::kHalf;
    case ScalarType::BFloat16:
      return Element::kBFloat16;
    default:
      return std::nullopt;
  }
}

// A new tensor of the dtype and on the device of `like`.
inline Tensor new_strided(const Tensor& like, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  using torch::stable::detail::from;
  std::array<StableIValue, 7> stack{from(like),
                                    from(torch::headeronly::IntHeaderOnlyArrayRef(sizes)),
                                    from(torch::headeronly::IntHeaderOnlyArrayRef(strides)),
                                    from(std::optional<ScalarType>()),
                                    from(std::optional<torch::headeronly::Layout>()),
                                    from(std::optional<torch::stable::Device>()),
                                    from(std::optional<bool>())};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::new_empty_strided", "", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

}  // namespace freqops
