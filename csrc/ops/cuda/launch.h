// The one way from an op to a kernel: on the device of its tensor, on torch's current stream, with
// the launch checked. Compiled with FREQOPS_REPLAY the same ops take CPU tensors and call the
// kernels' host replay; all that differs for them is in this file and in replay_memory.h.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "../../kernels/cuda/fft_filter.h"
#include "../pool_geometry.h"

#ifdef FREQOPS_REPLAY

#include "replay_memory.h"

#define FREQOPS_NAMESPACE freqops_replay
#define FREQOPS_DISPATCH_KEY CPU

namespace freqops::cuda {

inline constexpr const char* kDevice = "CPU";
inline bool on_device(const torch::stable::Tensor& tensor) { return tensor.is_cpu(); }

template <class Start>
void launch(const char* op, const torch::stable::Tensor&, Start&& start) {
  const int error = start(static_cast<void*>(nullptr));
  STD_TORCH_CHECK(error == 0, op, ": the replayed kernel returned error ", error);
  check_replay_memory(op);
}

inline bool is_refusal(int error) { return error == kInvalid; }

}  // namespace freqops::cuda

#else

#include <cuda_runtime_api.h>

#define FREQOPS_NAMESPACE freqops
#define FREQOPS_DISPATCH_KEY CUDA

// Part of torch's stable C interface; only a CUDA build of torch has it, and torch's headers
// declare it only where USE_CUDA is defined.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** ret_stream);

namespace freqops::cuda {

inline constexpr const char* kDevice = "CUDA";
inline bool on_device(const torch::stable::Tensor& tensor) { return tensor.is_cuda(); }

// Memory for a kernel to write, on the device of `like`. torch's allocator keeps it from other work
// until the stream has passed the kernels that were launched while it was held.
inline torch::stable::Tensor new_memory(const torch::stable::Tensor& like, const std::vector<int64_t>& sizes,
                                        torch::headeronly::ScalarType type) {
  return torch::stable::new_empty(like, sizes, type);
}
inline torch::stable::Tensor new_strided_memory(const torch::stable::Tensor& like, const std::vector<int64_t>& sizes,
                                                const std::vector<int64_t>& strides) {
  return new_strided(like, sizes, strides);
}

// Calls start(stream), which launches and returns a cudaError_t; anything but success becomes
// torch's RuntimeError.
template <class Start>
void launch(const char* op, const torch::stable::Tensor& tensor, Start&& start) {
  const torch::stable::accelerator::DeviceIndex device = tensor.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device);
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  const auto error = static_cast<cudaError_t>(start(stream));
  // It would otherwise be found, and taken for its own, by the next check of a launch in torch.
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  STD_TORCH_CHECK(error == cudaSuccess, op, ": CUDA error: ", cudaGetErrorString(error));
}

// Whether an error may mean that the device cannot run the kernel it was asked for. Whoever asks says
// so in words of his own, and the runtime forgets the error, as in launch.
inline bool is_refusal(int error) {
  const bool refusal = error == cudaErrorInvalidValue || error == cudaErrorInvalidDeviceFunction ||
                       error == cudaErrorNoKernelImageForDevice;
  if (refusal) static_cast<void>(cudaGetLastError());
  return refusal;
}

}  // namespace freqops::cuda

#endif
