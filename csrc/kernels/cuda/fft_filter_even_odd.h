// The even_odd form of the FFT filter for fft_filter_forms.h. The launchers are compiled in a
// translation unit for each element type.
#pragma once

#include "even_odd_plan.cuh"
#include "even_odd_table.cuh"
#include "fft_filter.h"

namespace freqops::cuda {

// Whether a kernel for this size exists, was compiled for the device and fits its shared memory; for
// a cluster also whether the device grants one.
template <class Launcher>
bool even_odd_takes(const Launcher& launcher, int height, int width);

inline int64_t even_odd_table_size(const FilterShape& shape) {
  int64_t entries = 0;
  EvenOddPlans::with(shape.height, shape.width, [&](auto plan) {
    using Plan = decltype(plan);
    entries = int64_t{Plan::kTableLines} * Plan::kColumns;
  });
  return shape.responses * shape.channels * entries * (shape.complex_response ? 4 : 2);
}

template <class Launcher>
int fill_even_odd_table(const Launcher& launcher, const FilterShape& shape, const float* real, const float* imag,
                        float* table) {
  int error = kInvalid;
  EvenOddPlans::with(shape.height, shape.width, [&](auto plan) {
    using Plan = decltype(plan);
    const auto fill = [&]<class Gain>(GainPair<Gain>* entries) {
      using Program = EvenOddTableFill<Gain>;
      const typename Program::Arguments arguments{{shape.height, shape.width, real, imag},
                                                  Plan::AxisH::order(),
                                                  Plan::AxisW::order(),
                                                  Plan::kBlocks,
                                                  shape.responses * shape.channels,
                                                  entries};
      return launcher.template run<Program>((arguments.entries() + Program::kThreads - 1) / Program::kThreads, 0,
                                            arguments);
    };
    error = imag ? fill(reinterpret_cast<GainPair<Complex<float>>*>(table))
                 : fill(reinterpret_cast<GainPair<float>*>(table));
  });
  return error;
}

template <class Launcher>
int64_t even_odd_work_bytes(const Launcher& launcher, const FilterShape& shape);

template <class Launcher, class Io>
int run_even_odd_filter(const Launcher& launcher, const FilterProblem& problem);

}  // namespace freqops::cuda
