// A kernel is a list of phases: a phase calls f(thread) for every thread of the block, and a
// barrier follows it. Nothing but shared memory outlives a phase, so the same template is a kernel
// (DevicePhases) and a plain loop on the host (HostPhases). On the host the threads of a phase run
// one after another: if running them backwards changes a single bit, two threads of one phase touch
// the same address and the kernel has a race.
#pragma once

#include "../fft/complex.h"

namespace freqops::cuda {

#if defined(__CUDACC__)
struct DevicePhases {
  template <class F>
  __device__ __forceinline__ void run(F&& f) const {
    f(thread());
    __syncthreads();
  }
  // True to every thread if f(thread) is true for one of them.
  template <class F>
  __device__ __forceinline__ bool run_any(F&& f) const {
    return __syncthreads_or(f(thread()));
  }

 private:
  // Read anew in every phase: were it one value, the compiler would carry addresses derived from it
  // across barriers and spill them.
  static __device__ __forceinline__ int thread() {
    int index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
  }
};
#endif

struct HostPhases {
  int threads;
  bool backwards;

  template <class F>
  void run(F&& f) const {
    for (int i = 0; i < threads; ++i) f(backwards ? threads - 1 - i : i);
  }
  template <class F>
  bool run_any(F&& f) const {
    bool any = false;
    run([&](int thread) { any |= f(thread); });
    return any;
  }
};

}  // namespace freqops::cuda
