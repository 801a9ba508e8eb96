#include "device_launcher.cuh"
#include "fft_filter_lines.cuh"

namespace freqops::cuda {
template int64_t lines_work_bytes(const DeviceLauncher&, const FilterShape&);
template int run_lines_filter(const DeviceLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
