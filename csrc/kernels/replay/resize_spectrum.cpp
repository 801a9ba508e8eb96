#include "../cuda/resize_spectrum.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_RESIZE_SPECTRUM(HostLauncher)
