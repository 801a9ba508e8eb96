// The entry points of blur_pool.h for the forward maps, for a launcher: which form takes a problem.
#pragma once

#include "blur_pool_generic.cuh"
#include "blur_pool_path.h"
#include "blur_pool_stencil.h"
#include "blur_pool_tile.cuh"

namespace freqops::cuda {

// Calls f with a value of the type of elements.
template <class F>
int visit_element(Element element, F&& f) {
  switch (element) {
    case Element::kFloat:
      return f(float{});
    case Element::kDouble:
      return f(double{});
    case Element::kHalf:
      return f(Half{});
    default:
      return f(BFloat16{});
  }
}

template <PoolMap Map, class Launcher>
int run_blur(const Launcher& launcher, const MaxBlurPool& problem) {
  return visit_element(problem.blur.x.element, [&](auto element) {
    using T = decltype(element);
    TilePlan plan(problem, Map, sizeof(value_of<T>));
    const PoolPath path = choose_path(Map, problem, launcher.multiprocessors(), plan);
    if constexpr (Map != PoolMap::kMaxBlurSelect && !std::is_same_v<T, double>) {
      if (path == PoolPath::kStencil) return run_blur_stencil<Launcher, T>(launcher, problem);
    }
    if (path == PoolPath::kTiled) return run_blur_tiled<Launcher, T, Map>(launcher, plan);
    return run_blur_generic<Launcher, T>(launcher, problem, Map);
  });
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_BLUR_POOL(Launcher)                                               \
  namespace freqops::cuda {                                                              \
  int blur_pool(const BlurPool& problem, void* stream) {                                 \
    const MaxBlurPool plain{.blur = problem, .max_h = {1, 0}, .max_w = {1, 0}, .v = {}}; \
    return run_blur<PoolMap::kBlur>(Launcher(stream), plain);                            \
  }                                                                                      \
  int max_blur_pool(const MaxBlurPool& problem, void* stream) {                          \
    return run_blur<PoolMap::kMaxBlur>(Launcher(stream), problem);                       \
  }                                                                                      \
  int max_blur_pool_select(const MaxBlurPool& problem, void* stream) {                   \
    return run_blur<PoolMap::kMaxBlurSelect>(Launcher(stream), problem);                 \
  }                                                                                      \
  }
