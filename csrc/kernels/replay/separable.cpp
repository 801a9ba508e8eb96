#include "../cuda/separable.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_SEPARABLE(HostLauncher)
