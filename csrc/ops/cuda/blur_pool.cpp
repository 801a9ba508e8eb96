// The kernels of anti-aliased pooling as ops. Safe to call with any argument; which of their forms takes
// a problem is the kernels' business.
#include "../../kernels/cuda/blur_pool.h"

#include <cstdint>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "../pool_ops.h"
#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

struct Gpu {
  // Below 2^31 planes; sizes of one plane are checked in pool_geometry.h.
  static void check(const char* op, const char* argument, const Tensor& x) {
    STD_TORCH_CHECK(on_device(x), op, ": ", argument, " must be a ", kDevice, " tensor");
    check_pooled(op, argument, x);
    const int64_t planes = x.numel() / (x.size(x.dim() - 2) * x.size(x.dim() - 1));
    STD_TORCH_CHECK(planes <= kMostPlanes, op, ": ", argument, " must have at most ", kMostPlanes, " planes, got ",
                    planes);
  }
  static Tensor new_output(const Tensor& like, const PlanesLayout& layout) {
    return new_strided_memory(like, layout.sizes, layout.strides);
  }
  static void run(const char* op, PoolMap map, const Tensor& on, const MaxBlurPool& pool) {
    launch(op, on, [&](void* stream) { return start(map, pool, stream); });
  }

 private:
  static int start(PoolMap map, const MaxBlurPool& pool, void* stream) {
    switch (map) {
      case PoolMap::kBlur:
        return blur_pool(pool.blur, stream);
      case PoolMap::kBlurAdjoint:
        return blur_pool_adjoint(pool.blur, stream);
      case PoolMap::kMaxBlur:
        return max_blur_pool(pool, stream);
      case PoolMap::kMaxBlurSelect:
        return max_blur_pool_select(pool, stream);
      default:
        return max_blur_pool_backward(pool, stream);
    }
  }
};

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
// On CUDA the schemas are those of ../schema.cpp.
STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) { freqops::define_pool_ops(m); }
#endif

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def(
      "blur_pool_path(Tensor x, int taps_h, int taps_w, int window_h, int window_w, int[] stride, bool per_channel, "
      "bool backward) -> str");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  freqops::implement_pool_ops<freqops::cuda::Gpu>(m);
  m.impl("blur_pool_path", TORCH_BOX(&freqops::cuda::blur_pool_path));
}
