#include "device_launcher.cuh"
#include "fft_filter_even_odd.cuh"

namespace freqops::cuda {
template bool even_odd_takes(const DeviceLauncher&, int, int);
template int64_t even_odd_work_bytes(const DeviceLauncher&, const FilterShape&);
template int run_even_odd_filter<DeviceLauncher, float>(const DeviceLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
