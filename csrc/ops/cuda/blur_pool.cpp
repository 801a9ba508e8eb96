// The kernels of anti-aliased pooling as ops. Safe to call with any argument; which of their forms takes
// a problem is the kernels' business.
#include "../../kernels/cuda/blur_pool.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "../../kernels/cuda/blur_pool_path.h"
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

PoolMap map_of(const std::string& op) {
  if (op == "blur_pool") return PoolMap::kBlur;
  if (op == "blur_pool_adjoint") return PoolMap::kBlurAdjoint;
  if (op == "max_blur_pool") return PoolMap::kMaxBlur;
  if (op == "max_blur_pool_select") return PoolMap::kMaxBlurSelect;
  STD_TORCH_CHECK(op == "max_blur_pool_backward", "blur_pool_path: no such op of pooling: ", op);
  return PoolMap::kMaxBlurBackward;
}

// Which form would take a call of an op on images x, v of a size [N, C, H, W] and like's dtype.
std::string blur_pool_path(const Tensor& like, std::string op, std::vector<int64_t> size, bool channels_last,
                           std::vector<int64_t> taps, bool per_channel, std::vector<int64_t> kernel_size,
                           std::vector<int64_t> max_padding, std::vector<int64_t> stride, std::vector<int64_t> padding,
                           std::string padding_mode) {
  const char* name = "blur_pool_path";
  const PoolMap map = map_of(op);
  STD_TORCH_CHECK(size.size() == 4 && taps.size() == 2, name, ": size must hold 4 numbers and taps 2");
  STD_TORCH_CHECK(size[0] >= 0 && size[1] >= 0 && size[0] <= kMostPlanes / std::max<int64_t>(size[1], 1), name,
                  ": at most ", kMostPlanes, " planes");
  check_pooled_plane(name, "x", size[2], size[3]);
  std::vector<Tensor> stand_ins;
  for (const int64_t count : taps) {
    STD_TORCH_CHECK(count >= 1 && count <= kLargestPoolOption, name, ": taps must be at least 1, got ", count);
    stand_ins.push_back(torch::stable::new_empty(like, {count}));
  }
  const Element element = pool_element(name, "like", like);
  MaxBlurPool pool = pool_geometry(name, size[2], size[3], stand_ins[0], stand_ins[1],
                                   {kernel_size, max_padding, stride, padding, padding_mode});
  pool.blur.per_channel = per_channel;
  pool.blur.x = pool.v = images_like(element, size, size[2], size[3], channels_last);
  pool.blur.y = images_like(element, size, pool.blur.h.outputs, pool.blur.w.outputs, channels_last);
  switch (pool_path(map, pool)) {
    case PoolPath::kStencil:
      return "stencil";
    case PoolPath::kTiled:
      return "tiled";
    default:
      return "generic";
  }
}

}  // namespace
}  // namespace freqops::cuda

#ifdef FREQOPS_REPLAY
// On CUDA the schemas are those of ../schema.cpp.
STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) { freqops::define_pool_ops(m); }
#endif

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def(
      "blur_pool_path(Tensor like, str op, int[] size, bool channels_last, int[] taps, bool per_channel, "
      "int[] kernel_size, int[] max_padding, int[] stride, int[] padding, str padding_mode) -> str");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  freqops::implement_pool_ops<freqops::cuda::Gpu>(m);
  m.impl("blur_pool_path", TORCH_BOX(&freqops::cuda::blur_pool_path));
}
