#include "../cuda/fft_filter_even_odd.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template bool even_odd_takes(const HostLauncher&, int, int);
template int64_t even_odd_work_bytes(const HostLauncher&, const FilterShape&);
template int run_even_odd_filter<HostLauncher, float>(const HostLauncher&, const FilterProblem&);
template int run_even_odd_filter<HostLauncher, Half>(const HostLauncher&, const FilterProblem&);
template int run_even_odd_filter<HostLauncher, BFloat16>(const HostLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
