#include "../kernels/blur_pool.h"

#include "../kernels/cpu/dispatch.h"
#include "pool_ops.h"
#include "tensor_images.h"

namespace freqops {
namespace {

struct Cpu {
  static void check(const char* op, const char* argument, const Tensor& x) {
    STD_TORCH_CHECK(x.is_cpu(), op, ": ", argument, " must be a CPU tensor");
    check_pooled(op, argument, x);
  }
  static Tensor new_output(const Tensor& like, const PlanesLayout& layout) {
    const Tensor y = new_strided(like, layout.sizes, layout.strides);
    prefer_huge_pages_if_large(y);
    return y;
  }
  // `on` is the larger side of the map: x, or what is written back to its place.
  static void run(const char*, PoolMap map, const Tensor& on, MaxBlurPool& pool) {
    const bool back = map == PoolMap::kBlurAdjoint || map == PoolMap::kMaxBlurBackward;
    pool.blur.stream = back && is_large(on);
    visit_compute_type(on, [&](auto zero) {
      const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
      if (back) {
        run_items(pool, on.numel(), kernels.blur_pool_adjoint, kernels.blur_pool_adjoint_items(pool),
                  kernels.blur_pool_adjoint_scratch(pool));
      } else {
        run_items(pool, on.numel(), kernels.blur_pool, kernels.blur_pool_items(pool), kernels.blur_pool_scratch(pool));
      }
    });
  }

 private:
  template <class Kernel>
  static void run_items(const MaxBlurPool& pool, int64_t elements, Kernel kernel, int64_t items, size_t scratch_bytes) {
    run_parallel(items, grain_of(std::max<int64_t>(1, elements / items)), scratch_bytes,
                 [&](int64_t begin, int64_t end, void* scratch) { kernel(pool, begin, end, scratch); });
  }
};

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) { freqops::implement_pool_ops<freqops::Cpu>(m); }
