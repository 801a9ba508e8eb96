#include "../cuda/spectral_correlation.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_SPECTRAL_CORRELATION(HostLauncher)
