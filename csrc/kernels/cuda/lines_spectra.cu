#include "device_launcher.cuh"
#include "lines_spectra.cuh"

FREQOPS_INSTANTIATE_SPECTRA(DeviceLauncher, float)
FREQOPS_INSTANTIATE_SPECTRA(DeviceLauncher, freqops::Half)
FREQOPS_INSTANTIATE_SPECTRA(DeviceLauncher, freqops::BFloat16)
