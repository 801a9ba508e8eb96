// The amplitude of one image with the phase of another, on CUDA: y = irfft(|A| P / |P|), and |A| where
// P is 0, over the plane or over channels and plane.
#pragma once

#include <cstdint>

#include "../images.h"

namespace freqops::cuda {

struct MixAmplitudePhase {
  Element element;                // of all images, anything but double; the arithmetic is float32
  const void *amplitude, *phase;  // [images, channels, height, width], contiguous
  void* y;
  void* work;  // mix_amplitude_phase_work_bytes, 16-byte aligned
  int64_t images, channels;
  bool over_channels;  // the channels are transformed as well
  int height, width;
};

// Whether the current device can run it. Over channels there may be up to kMostMixedChannels.
inline constexpr int kMostMixedChannels = 4;
bool mix_amplitude_phase_takes(int64_t channels, bool over_channels, int height, int width);
int64_t mix_amplitude_phase_work_bytes(const MixAmplitudePhase& problem);
// Only kernels on the stream; returns a cudaError_t.
int mix_amplitude_phase(const MixAmplitudePhase& problem, void* stream);

}  // namespace freqops::cuda
