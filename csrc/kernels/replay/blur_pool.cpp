#include "../cuda/blur_pool.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_BLUR_POOL(HostLauncher)
