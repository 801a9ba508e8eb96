// Runs the CUDA kernel of fft_filter_plane on the host, block by block and thread by thread, for
// the test suite: the index arithmetic and the numerics are those of the GPU, and a machine without
// one can check them.
#include "../cuda/fft_filter_plane.cuh"

#include <cstring>
#include <memory>
#include <vector>

#include "../images.h"

namespace freqops::cuda {
namespace {

struct Replay {
  const void* x;
  void* y;
  const float* real;
  const float* imag;
  PlaneBatch batch;
  bool backwards;  // blocks and threads from the last to the first
};

template <class Plan, class Io, class Gain>
void replay(const Replay& problem) {
  const ResponseTable layout = response_table_for<Plan>(problem.batch.channels);
  std::vector<Gain> table(static_cast<size_t>(layout.size()));
  for (int64_t i = 0; i < layout.size(); ++i) {
    store_gain(response_entry(layout, problem.real, problem.imag, i), table[static_cast<size_t>(i)]);
  }
  const auto shared = std::make_unique<PlaneShared<Plan>>();
  const HostPhases phases{Plan::kThreads, problem.backwards};
  const int64_t blocks = (problem.batch.pairs() + Plan::kPairs - 1) / Plan::kPairs;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t block = problem.backwards ? blocks - 1 - i : i;
    // Shared memory starts as NaN, so that a value read before it is written shows in the result.
    std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(PlaneShared<Plan>));
    PlaneFilter<Plan, Io, Gain>(*shared, static_cast<const Io*>(problem.x), static_cast<Io*>(problem.y), table.data(),
                                problem.batch, block * Plan::kPairs)
        .run(phases);
  }
}

template <class Plan, class Io>
void replay(const Replay& problem) {
  if (problem.imag) {
    replay<Plan, Io, Complex<float>>(problem);
  } else {
    replay<Plan, Io, float>(problem);
  }
}

}  // namespace
}  // namespace freqops::cuda

#define FREQOPS_REPLAY_EXPORT extern "C" __attribute__((visibility("default")))

// Writes (height, width, pairs per block, threads, bytes of shared memory, blocks per SM that the
// register budget is made for) of every compiled plan, at most `capacity` rows, and returns their
// number.
FREQOPS_REPLAY_EXPORT int freqops_replay_fft_filter_plane_plans(int* rows, int capacity) {
  using namespace freqops::cuda;
  int count = 0;
  PlanePlans::for_each([&](auto plan) {
    using Plan = decltype(plan);
    constexpr int kSharedBytes = sizeof(PlaneShared<Plan>);
    const int row[6] = {Plan::kHeight, Plan::kWidth, Plan::kPairs, Plan::kThreads, kSharedBytes, Plan::kBlocksPerSm};
    if (count < capacity) std::memcpy(rows + 6 * count, row, sizeof(row));
    ++count;
  });
  return count;
}

// element: freqops::Element. Returns 0, or 1 if no plan has this size or no kernel this element.
FREQOPS_REPLAY_EXPORT int freqops_replay_fft_filter_plane(int element, const void* x, void* y, const float* real,
                                                          const float* imag, int64_t images, int64_t channels,
                                                          int height, int width, int backwards) {
  using namespace freqops::cuda;
  const Replay problem{x, y, real, imag, {images, static_cast<uint32_t>(channels)}, backwards != 0};
  bool known_element = true;
  const bool known_size = PlanePlans::with(height, width, [&](auto plan) {
    using Plan = decltype(plan);
    switch (static_cast<freqops::Element>(element)) {
      case freqops::Element::kFloat:
        return replay<Plan, float>(problem);
      case freqops::Element::kHalf:
        return replay<Plan, freqops::Half>(problem);
      case freqops::Element::kBFloat16:
        return replay<Plan, freqops::BFloat16>(problem);
      default:
        known_element = false;
    }
  });
  return known_size && known_element ? 0 : 1;
}
