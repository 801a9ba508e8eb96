// A kernel is a list of phases: a phase calls f(thread) for every thread of the block, and a
// barrier follows it. Nothing but shared memory outlives a phase, so the same template is a kernel
// (DevicePhases) and a plain loop on the host (HostPhases). On the host the threads of a phase run
// one after another: if running them backwards changes a single bit, two threads of one phase touch
// the same address and the kernel has a race.
//
// A cluster is several blocks that read and write each other's shared memory. Its phases call
// f(thread, rank), rank being the block's number in the cluster; run_across ends in a barrier of
// the whole cluster, which has to stand between a write and another block's read.
#pragma once

#include <type_traits>

#include "../fft/complex.h"

namespace freqops::cuda {

#if defined(__CUDACC__)
template <int Blocks = 1>
class DevicePhases {
 public:
  explicit __device__ __forceinline__ DevicePhases(unsigned char* shared) : shared_(shared) {}

  template <class F>
  __device__ __forceinline__ void run(F&& f) const {
    call(f);
    __syncthreads();
  }
  // True to every thread of the block if f(thread) is true for one of them.
  template <class F>
  __device__ __forceinline__ bool run_any(F&& f) const {
    return __syncthreads_or(call(f));
  }
  template <class F>
  __device__ __forceinline__ void run_across(F&& f) const {
    call(f);
    if constexpr (Blocks == 1) {
      __syncthreads();
    } else {
      // Release and acquire are the defaults of these instructions.
      asm volatile("barrier.cluster.arrive.aligned;\n barrier.cluster.wait.aligned;" ::: "memory");
    }
  }

  // Shared memory of the calling thread's own block, whose rank it is, ...
  __device__ __forceinline__ unsigned char* own_shared(int) const { return shared_; }
  // ... and of any block of the cluster.
  __device__ __forceinline__ unsigned char* shared_of(int rank) const {
    if constexpr (Blocks == 1) return shared_;
    unsigned char* mapped;
    asm("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(shared_), "r"(rank));
    return mapped;
  }

 private:
  template <class F>
  static __device__ __forceinline__ decltype(auto) call(F& f) {
    if constexpr (std::is_invocable_v<F&, int, int>) {
      return f(thread(), rank());
    } else {
      return f(thread());
    }
  }
  // Read anew in every phase: were it one value, the compiler would carry addresses derived from it
  // across barriers and spill them.
  static __device__ __forceinline__ int thread() {
    int index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
  }
  static __device__ __forceinline__ int rank() {
    if constexpr (Blocks == 1) return 0;
    int index;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(index));
    return index;
  }

  unsigned char* shared_;
};
#endif

class HostPhases {
 public:
  // Shared memory of `blocks` blocks lies one after another, `stride` bytes apart.
  HostPhases(int threads, int blocks, bool backwards, unsigned char* shared, long long stride)
      : threads_(threads), blocks_(blocks), backwards_(backwards), shared_(shared), stride_(stride) {}

  template <class F>
  void run(F&& f) const {
    for (int i = 0; i < blocks_ * threads_; ++i) call(f, backwards_ ? blocks_ * threads_ - 1 - i : i);
  }
  template <class F>
  bool run_any(F&& f) const {
    bool any = false;
    for (int i = 0; i < threads_; ++i) any |= f(backwards_ ? threads_ - 1 - i : i);
    return any;
  }
  template <class F>
  void run_across(F&& f) const {
    run(f);
  }

  unsigned char* own_shared(int rank) const { return shared_of(rank); }
  unsigned char* shared_of(int rank) const { return shared_ + rank * stride_; }

 private:
  template <class F>
  void call(F& f, int index) const {
    if constexpr (std::is_invocable_v<F&, int, int>) {
      f(index % threads_, index / threads_);
    } else {
      f(index);
    }
  }

  int threads_, blocks_;
  bool backwards_;
  unsigned char* shared_;
  long long stride_;
};

}  // namespace freqops::cuda
