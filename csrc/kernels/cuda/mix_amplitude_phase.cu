#include "device_launcher.cuh"
#include "mix_amplitude_phase.cuh"

FREQOPS_DEFINE_MIX_AMPLITUDE_PHASE(DeviceLauncher)
