// The CPU kernels of the level chosen for this machine.
//
// A kernel works on items [begin, end) with a scratch of its own per thread: the caller allocates and parallelises.
#pragma once

#include <string>
#include <vector>

#include "../blur_pool.h"
#include "../fft_filter.h"
#include "../mix_amplitude_phase.h"
#include "../polyphase_pool.h"
#include "../resize_spectrum.h"
#include "../separable.h"
#include "../spectral_correlation.h"

namespace freqops::cpu {

template <class T>
struct Kernels {
  int lanes;

  size_t (*filter_bank_scratch)(const FilterBank<T>&);
  int64_t (*filter_bank_items)(const FilterBank<T>&);
  void (*filter_bank)(const FilterBank<T>&, int64_t begin, int64_t end, void* scratch);

  // The transpose: reads the R slabs of bank.y and writes bank.x. Only for the columns-as-lanes form.
  size_t (*filter_bank_adjoint_scratch)(const FilterBank<T>&);
  int64_t (*filter_bank_adjoint_items)(const FilterBank<T>&);
  void (*filter_bank_adjoint)(const FilterBank<T>&, int64_t begin, int64_t end, void* scratch);

  size_t (*spectral_correlation_scratch)(const SpectralCorrelation<T>&);
  size_t (*spectral_correlation_partial_elements)(const SpectralCorrelation<T>&);
  int64_t (*spectral_correlation_items)(const SpectralCorrelation<T>&);
  void (*spectral_correlation)(const SpectralCorrelation<T>&, int64_t begin, int64_t end, void* scratch);

  size_t (*mix_amplitude_phase_scratch)(const MixAmplitudePhase<T>&);
  int64_t (*mix_amplitude_phase_items)(const MixAmplitudePhase<T>&);
  void (*mix_amplitude_phase)(const MixAmplitudePhase<T>&, int64_t begin, int64_t end, void* scratch);

  // blur_pool, max_blur_pool and its select: reads blur.x (and v, where it is there), writes blur.y.
  size_t (*blur_pool_scratch)(const MaxBlurPool&);
  int64_t (*blur_pool_items)(const MaxBlurPool&);
  void (*blur_pool)(const MaxBlurPool&, int64_t begin, int64_t end, void* scratch);

  // The transpose of the blur, or of select at the maxima of blur.x: reads blur.y, writes v.
  size_t (*blur_pool_adjoint_scratch)(const MaxBlurPool&);
  int64_t (*blur_pool_adjoint_items)(const MaxBlurPool&);
  void (*blur_pool_adjoint)(const MaxBlurPool&, int64_t begin, int64_t end, void* scratch);

  int64_t (*polyphase_norms_items)(const PolyphaseNorms&);
  void (*polyphase_norms)(const PolyphaseNorms&, int64_t begin, int64_t end);
  // Reads x and writes y; and the transpose, which reads y and writes x.
  int64_t (*polyphase_pool_items)(const PolyphasePool&);
  void (*polyphase_pool)(const PolyphasePool&, int64_t begin, int64_t end);
  int64_t (*polyphase_unpool_items)(const PolyphasePool&);
  void (*polyphase_unpool)(const PolyphasePool&, int64_t begin, int64_t end);

  // The sums that are taken together, for which PackedAxisMap lays out the matrix.
  int (*separable_sums_together)(bool mirrored);
  size_t (*separable_scratch)(const Separable<T>&);
  int64_t (*separable_items)(const Separable<T>&);
  void (*separable)(const Separable<T>&, int64_t begin, int64_t end, void* scratch);

  size_t (*resize_spectrum_scratch)(const ResizeSpectrum<T>&);
  int64_t (*resize_spectrum_items)(const ResizeSpectrum<T>&);
  void (*resize_spectrum)(const ResizeSpectrum<T>&, int64_t begin, int64_t end, void* scratch);
};

// The level is the best one this machine has and the build holds; FREQOPS_CPU=default|avx2|avx512 asks for another.
template <class T>
const Kernels<T>& kernels();

const char* selected_level();
std::vector<const char*> compiled_levels();
// Why the level asked for by FREQOPS_CPU is not the selected one; null where nothing is wrong.
const char* level_problem();

// Which form and plans a filter of `planes` planes of this size takes, in words.
std::string describe_filter(int64_t height, int64_t width, int64_t planes, bool is_double);

}  // namespace freqops::cpu
