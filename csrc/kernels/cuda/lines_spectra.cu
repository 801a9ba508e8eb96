#include "device_launcher.cuh"
#include "lines_spectra.cuh"

namespace freqops::cuda {
template int transform_slots<-1>(const DeviceLauncher&, const SpectraArguments&);
template int transform_slots<1>(const DeviceLauncher&, const SpectraArguments&);
}  // namespace freqops::cuda
