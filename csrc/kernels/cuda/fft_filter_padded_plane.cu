#include "device_launcher.cuh"
#include "fft_filter_padded_plane.cuh"

namespace freqops::cuda {
template bool padded_plane_takes(const DeviceLauncher&, int, int);
template int run_padded_plane<DeviceLauncher, float>(const DeviceLauncher&, const FilterPadded&, const Complex<float>*);
template int run_padded_plane<DeviceLauncher, Half>(const DeviceLauncher&, const FilterPadded&, const Complex<float>*);
template int run_padded_plane<DeviceLauncher, BFloat16>(const DeviceLauncher&, const FilterPadded&,
                                                        const Complex<float>*);
}  // namespace freqops::cuda
