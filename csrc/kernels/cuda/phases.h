// A kernel is a list of phases: a phase calls f(thread) for every thread of the block, and a
// barrier follows it. Nothing but shared memory outlives a phase, so the same template is a kernel
// (DevicePhases) and a plain loop on the host (HostPhases). On the host the threads of a phase run
// one after another: if running them backwards changes a single bit, two threads of one phase touch
// the same address and the kernel has a race.
//
// A cluster is several blocks that read and write each other's shared memory. Its phases call
// f(thread, rank), rank being the block's number in the cluster; run_across ends in a barrier of
// the whole cluster, which has to stand between one block's write and another one's read or write of
// the same memory. On the host one block runs on to the next such barrier before another one starts:
// where one is missing, blocks from the last to the first give other bits than in order.
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
      asm volatile("barrier.cluster.arrive;\n barrier.cluster.wait;" ::: "memory");
    }
  }

  __device__ __forceinline__ unsigned char* own_shared() const { return shared_; }
  // The place in the shared memory of block `rank` where this block has *own.
  template <class T>
  __device__ __forceinline__ T* in_block(int rank, T* own) const {
    if constexpr (Blocks == 1) return own;
    T* mapped;
    asm("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(own), "r"(rank));
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

// One block. wait_for_cluster() returns when all blocks of its cluster have called theirs.
template <class WaitForCluster>
class HostPhases {
 public:
  // Shared memory of the blocks of a cluster lies one after another, `stride` bytes apart.
  HostPhases(int threads, int rank, bool backwards, unsigned char* shared, long long stride, WaitForCluster& wait)
      : threads_(threads), rank_(rank), backwards_(backwards), shared_(shared), stride_(stride), wait_(wait) {}

  template <class F>
  void run(F&& f) const {
    for (int i = 0; i < threads_; ++i) call(f, backwards_ ? threads_ - 1 - i : i);
  }
  template <class F>
  bool run_any(F&& f) const {
    bool any = false;
    for (int i = 0; i < threads_; ++i) any |= call(f, backwards_ ? threads_ - 1 - i : i);
    return any;
  }
  template <class F>
  void run_across(F&& f) const {
    run(f);
    wait_();
  }

  unsigned char* own_shared() const { return shared_ + rank_ * stride_; }
  template <class T>
  T* in_block(int rank, T* own) const {
    return reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(own) + (rank - rank_) * stride_);
  }

 private:
  template <class F>
  decltype(auto) call(F& f, int thread) const {
    if constexpr (std::is_invocable_v<F&, int, int>) {
      return f(thread, rank_);
    } else {
      return f(thread);
    }
  }

  int threads_, rank_;
  bool backwards_;
  unsigned char* shared_;
  long long stride_;
  WaitForCluster& wait_;
};

}  // namespace freqops::cuda
