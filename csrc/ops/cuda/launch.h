// The one way from an op to a kernel: on the device of its tensor, on torch's current stream, with
// the launch checked.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

// Part of torch's stable C interface; only a CUDA build of torch has it, and torch's headers
// declare it only where USE_CUDA is defined.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** ret_stream);

namespace freqops::cuda {

// Calls start(stream), which launches and returns a cudaError_t; anything but success becomes
// torch's RuntimeError.
template <class Start>
void launch(const char* op, const torch::stable::Tensor& tensor, Start&& start) {
  const torch::stable::DeviceIndex device = tensor.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device);
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  const cudaError_t error = start(static_cast<cudaStream_t>(stream));
  STD_TORCH_CHECK(error == cudaSuccess, op, ": CUDA error: ", cudaGetErrorString(error));
}

}  // namespace freqops::cuda
