// Programs on the GPU. A program is what one block does, or one cluster of blocks:
//
//   struct Program {
//     static constexpr int kThreads;       // of a block
//     static constexpr int kBlocksPerSm;   // that the register budget is made for
//     static constexpr int kSharedBytes;   // of a block; 0 if known at run time only
//     static constexpr int kClusterBlocks; // 1: no cluster
//     struct Arguments;                    // plain values and pointers
//     template <class Phases>
//     static void run(const Phases&, unsigned index, unsigned count, const Arguments&);
//   };
//
// run is the work of block (or cluster) `index` out of `count`. Host code that prepares and starts
// programs takes a launcher: DeviceLauncher here, HostLauncher (replay/host_launcher.h) in tests.
#pragma once

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>

#include <cuda_runtime.h>

#include "phases.h"

namespace freqops::cuda {

// Shared memory of one multiprocessor of the architecture this pass compiles for, in bytes.
constexpr int shared_bytes_per_sm() {
#if !defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200)
  return 228 * 1024;
#elif __CUDA_ARCH__ == 800 || __CUDA_ARCH__ == 870
  return 164 * 1024;
#elif __CUDA_ARCH__ >= 860
  return 100 * 1024;
#else
  return 64 * 1024;
#endif
}

// Registers are bounded for no more blocks than shared memory lets in (1 KB of it is the system's,
// per block).
template <class Program>
constexpr int resident_blocks() {
  constexpr int kFitting = shared_bytes_per_sm() / (Program::kSharedBytes + 1024);
  return kFitting < 1 ? 1 : kFitting < Program::kBlocksPerSm ? kFitting : Program::kBlocksPerSm;
}

// Clusters exist from compute capability 9.0 on. can_run keeps older devices away from the empty
// kernel compiled for them, and newer ones from what the driver makes of its PTX.
template <class Program>
__global__ void __launch_bounds__(Program::kThreads, resident_blocks<Program>())
    program_kernel(const __grid_constant__ typename Program::Arguments arguments) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  if constexpr (Program::kClusterBlocks == 1)
#endif
  {
    extern __shared__ __align__(16) unsigned char shared[];
    constexpr unsigned kBlocks = Program::kClusterBlocks;
    Program::run(DevicePhases<Program::kClusterBlocks>(shared), blockIdx.x / kBlocks, gridDim.x / kBlocks, arguments);
  }
}

// What was asked of the driver about one program, per device, so that it is asked once.
class KernelState {
 public:
  // The largest shared memory that was granted on the device so far.
  int requested(int device) const { return device < kDevices ? shared_bytes_[device].load() : 0; }
  void set_requested(int device, int bytes) {
    if (device < kDevices) shared_bytes_[device].store(bytes);
  }

 private:
  static constexpr int kDevices = 64;
  std::atomic<int> shared_bytes_[kDevices] = {};
};

// All methods are about the current device. Errors are cudaError_t as int.
class DeviceLauncher {
 public:
  explicit DeviceLauncher(void* stream) : stream_(static_cast<cudaStream_t>(stream)) {}

  // Starts `count` blocks (clusters) with that much shared memory each.
  template <class Program>
  int run(int64_t count, int shared_bytes, const typename Program::Arguments& arguments) const {
    if (count == 0) return cudaSuccess;
    if (count > INT_MAX / Program::kClusterBlocks) return cudaErrorInvalidValue;
    if (const cudaError_t error = opt_in<Program>(shared_bytes); error != cudaSuccess) return error;
    Launch<Program> launch(count, shared_bytes, stream_);
    return cudaLaunchKernelEx(&launch.config, program_kernel<Program>, arguments);
  }

  // Whether the device can run the program: its code was compiled for it, its shared memory and, for
  // a cluster, its multiprocessors suffice.
  template <class Program>
  bool can_run(int shared_bytes) const {
    cudaFuncAttributes attributes;
    bool fits = shared_bytes <= largest_shared_bytes() &&
                cudaFuncGetAttributes(&attributes, program_kernel<Program>) == cudaSuccess;
    if constexpr (Program::kClusterBlocks > 1) {
      fits = fits && attributes.ptxVersion >= 90 && clusters_fit<Program>(shared_bytes);
    }
    // A question must not leave an error behind for the next launch check to find.
    if (!fits) static_cast<void>(cudaGetLastError());
    return fits;
  }

  int multiprocessors() const { return attribute(cudaDevAttrMultiProcessorCount); }
  // What one block can be granted; 0 where there is no device.
  int largest_shared_bytes() const { return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }

  int fill_zero(void* data, int64_t bytes) const {
    return cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), stream_);
  }

 private:
  static int attribute(cudaDeviceAttr name) {
    int device = 0, value = 0;
    const bool known =
        cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetAttribute(&value, name, device) == cudaSuccess;
    if (!known) static_cast<void>(cudaGetLastError());
    return known ? value : 0;
  }

  // Partitioned or shared devices may refuse clusters that the hardware has.
  template <class Program>
  bool clusters_fit(int shared_bytes) const {
    if (attribute(cudaDevAttrComputeCapabilityMajor) < 9) return false;
    if (opt_in<Program>(shared_bytes) != cudaSuccess) return false;
    Launch<Program> launch(1, shared_bytes, stream_);
    int clusters = 0;
    const auto error = cudaOccupancyMaxActiveClusters(&clusters, program_kernel<Program>, &launch.config);
    return error == cudaSuccess && clusters > 0;
  }

  template <class Program>
  struct Launch {
    Launch(int64_t count, int shared_bytes, cudaStream_t stream) {
      config.gridDim = dim3(static_cast<unsigned>(count * Program::kClusterBlocks));
      config.blockDim = dim3(Program::kThreads);
      config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
      config.stream = stream;
      if constexpr (Program::kClusterBlocks > 1) {
        cluster.id = cudaLaunchAttributeClusterDimension;
        cluster.val.clusterDim.x = Program::kClusterBlocks;
        cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
        config.attrs = &cluster;
        config.numAttrs = 1;
      }
    }
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute cluster = {};
  };

  // Dynamic shared memory above 48 KB is granted per kernel and device, on request.
  template <class Program>
  static cudaError_t opt_in(int shared_bytes) {
    static KernelState state;
    int device = 0;
    if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
    if (shared_bytes <= state.requested(device)) return cudaSuccess;
    const cudaError_t error =
        request(reinterpret_cast<const void*>(program_kernel<Program>), device, shared_bytes, Program::kBlocksPerSm);
    if (error == cudaSuccess) state.set_requested(device, shared_bytes);
    return error;
  }
  static cudaError_t request(const void* kernel, int device, int shared_bytes, int blocks_per_sm) {
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    if (error != cudaSuccess) return error;
    int per_sm = 0, reserved = 0;
    error = cudaDeviceGetAttribute(&per_sm, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
    if (error != cudaSuccess) return error;
    error = cudaDeviceGetAttribute(&reserved, cudaDevAttrReservedSharedMemoryPerBlock, device);
    if (error != cudaSuccess) return error;
    // Room for the blocks that the launch bounds promise; the rest stays L1 cache for the response.
    const int64_t wanted = static_cast<int64_t>(blocks_per_sm) * (shared_bytes + reserved);
    const int percent = static_cast<int>(std::min<int64_t>(100, (100 * wanted + per_sm - 1) / per_sm));
    return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, percent);
  }

  cudaStream_t stream_;
};

}  // namespace freqops::cuda
