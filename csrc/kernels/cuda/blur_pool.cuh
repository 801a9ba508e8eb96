// The entry points of blur_pool.h for the forward maps, for a launcher: which form takes a problem.
#pragma once

#include "blur_pool_generic.cuh"
#include "blur_pool_stencil.h"

namespace freqops::cuda {

inline bool is_stencil_problem(const MaxBlurPool& problem) {
  const BlurPool& blur = problem.blur;
  return is_stencil_kind({.element = blur.x.element,
                          .taps_h = blur.h.taps,
                          .taps_w = blur.w.taps,
                          .window_h = problem.max_h.window,
                          .window_w = problem.max_w.window,
                          .stride_h = blur.h.stride,
                          .stride_w = blur.w.stride,
                          .per_channel = blur.per_channel});
}

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

template <Blurred From, class Launcher>
int run_blur(const Launcher& launcher, const MaxBlurPool& problem) {
  return visit_element(problem.blur.x.element, [&](auto element) {
    using T = decltype(element);
    if constexpr (From != Blurred::kSelected && !std::is_same_v<T, double>) {
      int error = 0;
      if (is_stencil_problem(problem) && run_blur_stencil<Launcher, T>(launcher, problem, error)) return error;
    }
    return run_blur_generic<Launcher, T, From>(launcher, problem);
  });
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_BLUR_POOL(Launcher)                                               \
  namespace freqops::cuda {                                                              \
  int blur_pool(const BlurPool& problem, void* stream) {                                 \
    const MaxBlurPool plain{.blur = problem, .max_h = {1, 0}, .max_w = {1, 0}, .v = {}}; \
    return run_blur<Blurred::kImage>(Launcher(stream), plain);                           \
  }                                                                                      \
  int max_blur_pool(const MaxBlurPool& problem, void* stream) {                          \
    return run_blur<Blurred::kMaxima>(Launcher(stream), problem);                        \
  }                                                                                      \
  int max_blur_pool_select(const MaxBlurPool& problem, void* stream) {                   \
    return run_blur<Blurred::kSelected>(Launcher(stream), problem);                      \
  }                                                                                      \
  }
