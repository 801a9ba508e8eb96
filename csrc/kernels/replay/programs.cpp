// What tests ask of the replay beside its ops (csrc/ops/cuda), over a C interface for ctypes: the
// device that is played, and the programs that are compiled for listed sizes.
#include <cstring>
#include <iterator>

#include "../cuda/fft_filter_even_odd.cuh"
#include "../cuda/fft_filter_plane.cuh"
#include "host_launcher.h"

namespace freqops::cuda {
namespace {

// A row of ints for each program; capacity bounds what is written, not what is counted.
class ProgramList {
 public:
  ProgramList(int* rows, int capacity) : rows_(rows), capacity_(capacity) {}

  // planes: how many a block (a cluster) works on at the same time.
  template <class Program>
  void add(Form form, int height, int width, int planes) {
    const int row[] = {
        static_cast<int>(form), height, width, planes, Program::kThreads, Program::kSharedBytes, Program::kBlocksPerSm,
        Program::kClusterBlocks};
    if (count_ < capacity_) std::memcpy(rows_ + static_cast<long>(count_) * std::size(row), row, sizeof(row));
    ++count_;
  }
  int count() const { return count_; }

 private:
  int* rows_;
  int capacity_, count_ = 0;
};

}  // namespace
}  // namespace freqops::cuda

#define FREQOPS_REPLAY_EXPORT extern "C" __attribute__((visibility("default")))

// Until they are set again. shared_bytes: what a block of the played device can be granted.
FREQOPS_REPLAY_EXPORT void freqops_replay_set_options(int backwards, int shared_bytes, int clusters) {
  freqops::cuda::replay_options() = {backwards != 0, shared_bytes, clusters != 0};
}

FREQOPS_REPLAY_EXPORT void freqops_replay_last_launch(int* threads, int* shared_bytes) {
  *threads = freqops::cuda::last_launch().threads;
  *shared_bytes = freqops::cuda::last_launch().shared_bytes;
}

// Writes (form, height, width, planes, threads, bytes of shared memory, blocks per SM that the
// register budget is made for, blocks of a cluster) of every program for float32, real shared
// response and one filter, at most `capacity` rows, and returns their number.
FREQOPS_REPLAY_EXPORT int freqops_replay_programs(int* rows, int capacity) {
  using namespace freqops::cuda;
  ProgramList list(rows, capacity);
  PlanePlans::for_each([&](auto plan) {
    using Plan = decltype(plan);
    list.add<PlaneFilter<Plan, float, float, false>>(Form::kPlane, Plan::kHeight, Plan::kWidth, 2 * Plan::kPairs);
  });
  EvenOddPlans::for_each([&](auto plan) {
    using Plan = decltype(plan);
    list.add<EvenOddFilter<Plan, float, float, false>>(Form::kEvenOdd, Plan::kHeight, Plan::kWidth, 1);
  });
  return list.count();
}
