// Programs (cuda/device_launcher.cuh) on the host: block by block and thread by thread, so that a
// machine without a GPU checks every index and every number of a kernel.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "../cuda/phases.h"

namespace freqops::cuda {

struct ReplayOptions {
  bool backwards = false;         // blocks and threads from the last to the first
  int shared_bytes = 227 * 1024;  // of the device that is played; default: sm_90
  bool clusters = true;           // whether that device has them
};
ReplayOptions& replay_options();

// Of the program that ran last.
struct ReplayLaunch {
  int threads = 0, shared_bytes = 0;
};
inline ReplayLaunch& last_launch() {
  static ReplayLaunch launch;
  return launch;
}

// The blocks of a cluster are threads of which only one runs at a time: each up to a barrier of the
// cluster, in order or in reverse.
class ClusterTurns {
 public:
  ClusterTurns(int blocks, bool backwards)
      : blocks_(blocks), step_(backwards ? blocks - 1 : 1), turn_(backwards ? blocks - 1 : 0) {}

  void wait(int rank) const {
    for (int turn; (turn = turn_.load()) != rank;) turn_.wait(turn);
  }
  void pass(int rank) {
    turn_.store((rank + step_) % blocks_);
    turn_.notify_all();
  }

 private:
  int blocks_, step_;
  std::atomic<int> turn_;
};

class HostLauncher {
 public:
  explicit HostLauncher(void*) {}

  template <class Program>
  int run(int64_t count, int shared_bytes, const typename Program::Arguments& arguments) const {
    if (!can_run<Program>(shared_bytes)) return 1;  // cudaErrorInvalidValue, as the device would
    last_launch() = {Program::kThreads, shared_bytes};
    const int64_t stride = (shared_bytes + 127) / 128 * 128, bytes = Program::kClusterBlocks * stride;
    const std::unique_ptr<unsigned char, void (*)(void*)> shared(
        static_cast<unsigned char*>(std::aligned_alloc(128, static_cast<size_t>(bytes) + 128)), std::free);
    const bool backwards = replay_options().backwards;
    for (int64_t i = 0; i < count; ++i) {
      // Shared memory starts as NaN, so that a value read before it is written shows in the result.
      std::memset(shared.get(), 0xff, static_cast<size_t>(bytes));
      const auto index = static_cast<unsigned>(backwards ? count - 1 - i : i);
      ClusterTurns turns(Program::kClusterBlocks, backwards);
      const auto run_block = [&](int rank) {
        auto wait_for_cluster = [&] {
          turns.pass(rank);
          turns.wait(rank);
        };
        turns.wait(rank);
        Program::run(HostPhases(Program::kThreads, rank, backwards, shared.get(), stride, wait_for_cluster), index,
                     static_cast<unsigned>(count), arguments);
        turns.pass(rank);
      };
      std::vector<std::jthread> others;
      for (int rank = 1; rank < Program::kClusterBlocks; ++rank) others.emplace_back(run_block, rank);
      run_block(0);
    }
    return 0;
  }

  template <class Program>
  bool can_run(int shared_bytes) const {
    return shared_bytes <= largest_shared_bytes() && (Program::kClusterBlocks == 1 || replay_options().clusters);
  }
  // Few, so that the blocks of a small test already have several rounds of work.
  int multiprocessors() const { return 1; }
  int largest_shared_bytes() const { return replay_options().shared_bytes; }
  int fill_zero(void* data, int64_t bytes) const {
    std::memset(data, 0, static_cast<size_t>(bytes));
    return 0;
  }
};

}  // namespace freqops::cuda
