// What every form of the filter hands to its kernels, and how many blocks of them there are.
#pragma once

#include <cstdint>

#include "../fft/complex.h"
#include "fft_filter.h"

namespace freqops::cuda {

// Planes are [images, channels].
struct PlaneBatch {
  int64_t images;
  uint32_t channels;
  FREQOPS_HOST_DEVICE int64_t image_pairs() const { return (images + 1) / 2; }
  FREQOPS_HOST_DEVICE int64_t pairs() const { return image_pairs() * channels; }
  FREQOPS_HOST_DEVICE int64_t planes() const { return images * channels; }
};

template <class Io, class Gain>
struct FilterArguments {
  const Io* x;
  Io* y;
  Io* high;  // null unless asked for
  const Gain* table;
  Complex<float>* work;
  PlaneBatch batch;
  int responses;
};

// Whether the memory starts where fft_filter.h says.
inline bool is_aligned(const FilterProblem& problem) {
  const auto starts_aligned = [](const void* memory) { return reinterpret_cast<uintptr_t>(memory) % 16 == 0; };
  return starts_aligned(problem.x) && starts_aligned(problem.y) && starts_aligned(problem.high) &&
         starts_aligned(problem.table) && starts_aligned(problem.work);
}

template <class Io, class Gain>
FilterArguments<Io, Gain> filter_arguments(const FilterProblem& problem, const Gain* table) {
  const FilterShape& shape = problem.shape;
  return {static_cast<const Io*>(problem.x),
          static_cast<Io*>(problem.y),
          shape.high ? static_cast<Io*>(problem.high) : nullptr,
          table,
          static_cast<Complex<float>*>(problem.work),
          {shape.images, static_cast<uint32_t>(shape.channels)},
          shape.responses};
}

// Blocks (clusters) of a program that takes one group of work after the other: no more than run at
// the same time, since each has a part of the work memory. Where shared memory lets in fewer than
// the program is made for, the others wait their turn.
template <class Program, class Launcher>
int64_t persistent_blocks(const Launcher& launcher, int64_t groups) {
  int64_t resident = int64_t{launcher.multiprocessors()} * Program::kBlocksPerSm / Program::kClusterBlocks;
  if (resident < 1) resident = 1;
  return groups < resident ? groups : resident;
}

}  // namespace freqops::cuda
