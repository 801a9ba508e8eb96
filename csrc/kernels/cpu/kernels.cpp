// The table of this level's kernels, for dispatch.cpp.
#include "dispatch.h"
#include "lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {

template <class T>
void fill_fft_filter(Kernels<T>&);
template <class T>
void fill_filter_bank_adjoint(Kernels<T>&);
template <class T>
void fill_spectral_correlation(Kernels<T>&);
template <class T>
void fill_mix_amplitude_phase(Kernels<T>&);
template <class T>
void fill_blur_pool(Kernels<T>&);
template <class T>
void fill_blur_pool_adjoint(Kernels<T>&);
template <class T>
void fill_polyphase_pool(Kernels<T>&);
template <class T>
void fill_separable(Kernels<T>&);
template <class T>
void fill_resize_spectrum(Kernels<T>&);

template <class T>
void fill_kernels(Kernels<T>& kernels) {
  kernels.lanes = kLanes<T>;
  fill_fft_filter(kernels);
  fill_filter_bank_adjoint(kernels);
  fill_spectral_correlation(kernels);
  fill_mix_amplitude_phase(kernels);
  fill_blur_pool(kernels);
  fill_blur_pool_adjoint(kernels);
  fill_polyphase_pool(kernels);
  fill_separable(kernels);
  fill_resize_spectrum(kernels);
}
template void fill_kernels<float>(Kernels<float>&);
template void fill_kernels<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
