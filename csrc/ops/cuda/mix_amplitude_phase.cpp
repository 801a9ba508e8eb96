// The kernels of amplitude and phase mixing as an op. Safe to call with any argument.
#include "../../kernels/cuda/mix_amplitude_phase.h"

#include <cstdint>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

using torch::stable::Tensor;

bool mix_amplitude_phase_takes_op(int64_t channels, bool over_channels, int64_t height, int64_t width) {
  return is_plane(height, width) &&
         mix_amplitude_phase_takes(channels, over_channels, static_cast<int>(height), static_cast<int>(width));
}

// Over channels x is [..., C, H, W], and C is transformed too.
Tensor mix_amplitude_phase_planes(const Tensor& amplitude, const Tensor& phase, bool over_channels) {
  const char* op = "mix_amplitude_phase_planes";
  check_planes(op, "amplitude", amplitude);
  check_like(op, "phase", phase, amplitude);
  STD_TORCH_CHECK(!over_channels || amplitude.dim() >= 3, op, ": amplitude must be [..., C, H, W], got ",
                  amplitude.dim(), " dimensions");
  const int64_t height = amplitude.size(amplitude.dim() - 2), width = amplitude.size(amplitude.dim() - 1);
  const int64_t channels = over_channels ? amplitude.size(amplitude.dim() - 3) : 1;

  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < amplitude.dim(); ++i) sizes.push_back(amplitude.size(i));
  const Tensor y = new_memory(amplitude, sizes, amplitude.scalar_type());
  if (amplitude.numel() == 0) return y;
  launch(op, amplitude, [&](void* stream) {
    MixAmplitudePhase problem{.element = element_of(op, amplitude),
                              .amplitude = amplitude.const_data_ptr(),
                              .phase = phase.const_data_ptr(),
                              .y = y.mutable_data_ptr(),
                              .work = nullptr,
                              .images = amplitude.numel() / (height * width) / channels,
                              .channels = channels,
                              .over_channels = over_channels,
                              .height = static_cast<int>(height),
                              .width = static_cast<int>(width)};
    const Tensor work = new_work(amplitude, mix_amplitude_phase_work_bytes(problem));
    problem.work = work.mutable_data_ptr();
    const int error = mix_amplitude_phase(problem, stream);
    STD_TORCH_CHECK(!is_refusal(error), op, ": ", channels, " channels of ", height, " x ", width,
                    " do not fit this device");
    return error;
  });
  return y;
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("mix_amplitude_phase_takes(int channels, bool over_channels, int height, int width) -> bool");
  m.def("mix_amplitude_phase_planes(Tensor amplitude, Tensor phase, bool over_channels) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("mix_amplitude_phase_planes", TORCH_BOX(&freqops::cuda::mix_amplitude_phase_planes));
}

// Without a tensor argument there is no device to dispatch on: it is asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("mix_amplitude_phase_takes", TORCH_BOX(&freqops::cuda::mix_amplitude_phase_takes_op));
}
