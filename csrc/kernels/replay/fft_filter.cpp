#include "../cuda/fft_filter_forms.h"
#include "host_launcher.h"

FREQOPS_DEFINE_FFT_FILTER(HostLauncher)

namespace freqops::cuda {
ReplayOptions& replay_options() {
  static ReplayOptions options;
  return options;
}
}  // namespace freqops::cuda
