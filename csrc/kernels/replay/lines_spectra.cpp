#include "../cuda/lines_spectra.cuh"

#include "host_launcher.h"

FREQOPS_INSTANTIATE_SPECTRA(HostLauncher, float)
FREQOPS_INSTANTIATE_SPECTRA(HostLauncher, freqops::Half)
FREQOPS_INSTANTIATE_SPECTRA(HostLauncher, freqops::BFloat16)
