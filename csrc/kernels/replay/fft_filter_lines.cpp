#include "../cuda/fft_filter_lines.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template int64_t lines_work_bytes(const HostLauncher&, const FilterShape&);
template int run_lines_filter(const HostLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
