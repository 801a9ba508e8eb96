#include "../cuda/fft_filter_padded.cuh"

#include "host_launcher.h"

FREQOPS_DEFINE_FFT_FILTER_PADDED(HostLauncher)
