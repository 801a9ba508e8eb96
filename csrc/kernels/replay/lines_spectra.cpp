#include "../cuda/lines_spectra.cuh"

#include "host_launcher.h"

namespace freqops::cuda {
template int transform_slots<-1>(const HostLauncher&, const SpectraArguments&);
template int transform_slots<1>(const HostLauncher&, const SpectraArguments&);
}  // namespace freqops::cuda
