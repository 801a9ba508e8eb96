// Dynamic shared memory above 48 KB is granted per kernel and device, on request.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <cuda_runtime_api.h>

namespace freqops::cuda {

// Whether the current device can run this kernel: there is one, its code was compiled, its shared
// memory suffices.
inline bool can_run(const void* kernel, int shared_bytes) {
  int device = 0, available = 0;
  cudaFuncAttributes attributes;
  const bool fits =
      cudaGetDevice(&device) == cudaSuccess &&
      cudaDeviceGetAttribute(&available, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess &&
      shared_bytes <= available && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess;
  // A question must not leave an error behind for the next launch check to find.
  if (!fits) static_cast<void>(cudaGetLastError());
  return fits;
}

// One static object per kernel remembers the devices on which the request was made.
class SharedMemoryOptIn {
 public:
  cudaError_t ensure(const void* kernel, int shared_bytes, int blocks_per_sm) {
    int device = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error != cudaSuccess) return error;
    const uint64_t bit = device < 64 ? uint64_t{1} << device : 0;
    if (devices_.load(std::memory_order_acquire) & bit) return cudaSuccess;
    error = request(kernel, device, shared_bytes, blocks_per_sm);
    if (error == cudaSuccess) devices_.fetch_or(bit, std::memory_order_release);
    return error;
  }

 private:
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

  std::atomic<uint64_t> devices_{0};
};

}  // namespace freqops::cuda
