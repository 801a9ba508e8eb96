#include "../kernels/mix_amplitude_phase.h"

#include "../kernels/cpu/dispatch.h"
#include "plan_cache.h"
#include "tensor_images.h"

namespace freqops {
namespace {

template <class T>
void mix(const Tensor& amplitude, const Tensor& phase, const Shape& shape, bool over_channels, const Tensor& y) {
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  const auto plan_h = cached_axis<T>(static_cast<int>(shape.height));
  const auto plan_w = cached_axis<T>(static_cast<int>(shape.width));
  const auto plan_c = over_channels ? cached_axis<T>(static_cast<int>(shape.channels)) : nullptr;
  MixAmplitudePhase<T> op{};
  op.plan_h = &plan_h->plan();
  op.plan_w = &plan_w->plan();
  op.plan_c = plan_c ? &plan_c->plan() : nullptr;
  op.amplitude = *images_of(amplitude, shape, 2);
  op.phase = *images_of(phase, shape, 2);
  op.out = *images_of(y, shape, 2);
  run_parallel(
      kernels.mix_amplitude_phase_items(op), 1, kernels.mix_amplitude_phase_scratch(op),
      [&](int64_t begin, int64_t end, void* scratch) { kernels.mix_amplitude_phase(op, begin, end, scratch); });
}

Tensor mix_amplitude_phase(const Tensor& amplitude, const Tensor& phase, bool over_channels) {
  const char* name = "mix_amplitude_phase";
  const Shape shape = checked_shape(name, "amplitude", amplitude, 2);
  check_same(name, amplitude, phase);
  STD_TORCH_CHECK(!over_channels || amplitude.dim() >= 3, name, ": over_channels needs a channel axis");
  Tensor y = empty_dense_like(amplitude);
  if (y.numel() == 0) return y;
  const Tensor a = readable(amplitude, shape, 2), p = readable(phase, shape, 2);
  const bool writable = images_of(y, shape, 2).has_value();
  const Tensor target = writable ? y : empty_dense_like(as_contiguous(amplitude));
  visit_compute_type(a, [&](auto zero) { mix<decltype(zero)>(a, p, shape, over_channels, target); });
  if (!writable) torch::stable::copy_(y, target);
  return y;
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) { m.impl("mix_amplitude_phase", TORCH_BOX(&freqops::mix_amplitude_phase)); }
