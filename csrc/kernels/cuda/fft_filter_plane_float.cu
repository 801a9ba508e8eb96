#include "device_launcher.cuh"
#include "fft_filter_plane.cuh"

namespace freqops::cuda {
template bool plane_takes(const DeviceLauncher&, int, int);
template int64_t plane_work_bytes(const DeviceLauncher&, const FilterShape&);
template int run_plane_filter<DeviceLauncher, float>(const DeviceLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
