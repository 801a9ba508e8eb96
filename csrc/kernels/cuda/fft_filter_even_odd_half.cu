#include "device_launcher.cuh"
#include "fft_filter_even_odd.cuh"

namespace freqops::cuda {
template int run_even_odd_filter<DeviceLauncher, Half>(const DeviceLauncher&, const FilterProblem&);
}  // namespace freqops::cuda
