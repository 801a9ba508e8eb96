#include "../cuda/fft_filter_plane.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template bool plane_takes(const HostLauncher&, int, int);
template int64_t plane_work_bytes(const HostLauncher&, const FilterShape&);
template int run_plane_filter<HostLauncher, float>(const HostLauncher&, const FilterProblem&);
template int run_plane_filter<HostLauncher, Half>(const HostLauncher&, const FilterProblem&);
template int run_plane_filter<HostLauncher, BFloat16>(const HostLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
