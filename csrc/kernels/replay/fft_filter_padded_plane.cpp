#include "../cuda/fft_filter_padded_plane.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template bool padded_plane_takes(const HostLauncher&, int, int);
template int run_padded_plane<HostLauncher, float>(const HostLauncher&, const FilterPadded&, const Complex<float>*);
template int run_padded_plane<HostLauncher, Half>(const HostLauncher&, const FilterPadded&, const Complex<float>*);
template int run_padded_plane<HostLauncher, BFloat16>(const HostLauncher&, const FilterPadded&, const Complex<float>*);
}  // namespace freqops::cuda
