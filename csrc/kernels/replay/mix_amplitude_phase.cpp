#include "../cuda/mix_amplitude_phase.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_MIX_AMPLITUDE_PHASE(HostLauncher)
