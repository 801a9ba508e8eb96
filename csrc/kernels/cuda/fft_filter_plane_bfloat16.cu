#include "device_launcher.cuh"
#include "fft_filter_plane.cuh"

namespace freqops::cuda {
template int run_plane_filter<DeviceLauncher, BFloat16>(const DeviceLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
