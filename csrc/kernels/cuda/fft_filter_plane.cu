#include <climits>

#include "fft_filter_plane.cuh"
#include "fft_filter_plane.h"
#include "shared_memory.h"

namespace freqops::cuda {
namespace {

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
template <class Plan>
constexpr int resident_blocks() {
  constexpr int kFitting = shared_bytes_per_sm() / (static_cast<int>(sizeof(PlaneShared<Plan>)) + 1024);
  return kFitting < 1 ? 1 : kFitting < Plan::kBlocksPerSm ? kFitting : Plan::kBlocksPerSm;
}

template <class Plan, class Io, class Gain>
__global__ void __launch_bounds__(Plan::kThreads, resident_blocks<Plan>())
    fft_filter_plane_kernel(const Io* __restrict__ x, Io* __restrict__ y, const Gain* __restrict__ response,
                            PlaneBatch batch) {
  extern __shared__ __align__(16) unsigned char shared[];
  PlaneFilter<Plan, Io, Gain> filter(*reinterpret_cast<PlaneShared<Plan>*>(shared), x, y, response, batch,
                                     static_cast<int64_t>(blockIdx.x) * Plan::kPairs);
  filter.run(DevicePhases{});
}

constexpr int kTableThreads = 256;

template <class Gain>
__global__ void __launch_bounds__(kTableThreads)
    response_table_kernel(const float* __restrict__ real, const float* __restrict__ imag, Gain* __restrict__ out,
                          ResponseTable table) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kTableThreads + threadIdx.x;
  if (index < table.size()) store_gain(response_entry(table, real, imag, index), out[index]);
}

template <class Gain>
cudaError_t launch_table(const FftFilterPlane& problem, const ResponseTable& table, cudaStream_t stream) {
  const int64_t blocks = (table.size() + kTableThreads - 1) / kTableThreads;
  if (blocks > INT_MAX) return cudaErrorInvalidValue;
  response_table_kernel<Gain><<<static_cast<unsigned>(blocks), kTableThreads, 0, stream>>>(
      problem.real, problem.imag, reinterpret_cast<Gain*>(problem.table), table);
  return cudaGetLastError();
}

template <class Plan, class Io, class Gain>
cudaError_t launch_filter(const FftFilterPlane& problem, cudaStream_t stream) {
  const PlaneBatch batch{problem.images, static_cast<uint32_t>(problem.channels)};
  // choose_pair divides in 32 bits, and the grid has no more blocks than that.
  if (problem.channels > INT_MAX || batch.pairs() > INT_MAX) return cudaErrorInvalidValue;
  constexpr auto* kernel = fft_filter_plane_kernel<Plan, Io, Gain>;
  constexpr int kSharedBytes = sizeof(PlaneShared<Plan>);
  static SharedMemoryOptIn opt_in;
  if (cudaError_t error = opt_in.ensure(reinterpret_cast<const void*>(kernel), kSharedBytes, Plan::kBlocksPerSm);
      error != cudaSuccess) {
    return error;
  }
  const auto blocks = static_cast<unsigned>((batch.pairs() + Plan::kPairs - 1) / Plan::kPairs);
  kernel<<<blocks, Plan::kThreads, kSharedBytes, stream>>>(static_cast<const Io*>(problem.x),
                                                           static_cast<Io*>(problem.y),
                                                           reinterpret_cast<const Gain*>(problem.table), batch);
  return cudaGetLastError();
}

template <class Plan, class Gain>
cudaError_t launch(const FftFilterPlane& problem, cudaStream_t stream) {
  const cudaError_t error = launch_table<Gain>(problem, response_table_for<Plan>(problem.channels), stream);
  if (error != cudaSuccess) return error;
  switch (problem.element) {
    case Element::kFloat:
      return launch_filter<Plan, float, Gain>(problem, stream);
    case Element::kHalf:
      return launch_filter<Plan, Half, Gain>(problem, stream);
    case Element::kBFloat16:
      return launch_filter<Plan, BFloat16, Gain>(problem, stream);
    case Element::kDouble:
      break;
  }
  return cudaErrorInvalidValue;
}

}  // namespace

bool fft_filter_plane_supported(int height, int width) {
  bool supported = false;
  PlanePlans::with(height, width, [&](auto plan) {
    using Plan = decltype(plan);
    supported =
        can_run(reinterpret_cast<const void*>(fft_filter_plane_kernel<Plan, float, float>), sizeof(PlaneShared<Plan>));
  });
  return supported;
}

int64_t fft_filter_plane_table_size(const FftFilterPlane& problem) {
  return problem.channels * problem.height * problem.width * (problem.imag ? 2 : 1);
}

cudaError_t fft_filter_plane(const FftFilterPlane& problem, cudaStream_t stream) {
  if (problem.images == 0 || problem.channels == 0) return cudaSuccess;
  cudaError_t error = cudaErrorInvalidValue;
  PlanePlans::with(problem.height, problem.width, [&](auto plan) {
    using Plan = decltype(plan);
    error = problem.imag ? launch<Plan, Complex<float>>(problem, stream) : launch<Plan, float>(problem, stream);
  });
  return error;
}

}  // namespace freqops::cuda
