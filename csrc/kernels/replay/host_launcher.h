// Programs (cuda/device_launcher.cuh) on the host: block by block and thread by thread, so that a
// machine without a GPU checks every index and every number of a kernel.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../cuda/phases.h"

namespace freqops::cuda {

struct ReplayOptions {
  bool backwards = false;         // blocks and threads from the last to the first
  int shared_bytes = 227 * 1024;  // of the device that is played; default: sm_90
  bool clusters = true;           // whether that device has them
};
ReplayOptions& replay_options();

class HostLauncher {
 public:
  explicit HostLauncher(void*) {}

  template <class Program>
  int run(int64_t count, int shared_bytes, const typename Program::Arguments& arguments) const {
    const int64_t stride = (shared_bytes + 127) / 128 * 128, bytes = Program::kClusterBlocks * stride;
    const std::unique_ptr<unsigned char, void (*)(void*)> shared(
        static_cast<unsigned char*>(std::aligned_alloc(128, static_cast<size_t>(bytes) + 128)), std::free);
    const bool backwards = replay_options().backwards;
    const HostPhases phases(Program::kThreads, Program::kClusterBlocks, backwards, shared.get(), stride);
    for (int64_t i = 0; i < count; ++i) {
      // Shared memory starts as NaN, so that a value read before it is written shows in the result.
      std::memset(shared.get(), 0xff, static_cast<size_t>(bytes));
      const int64_t index = backwards ? count - 1 - i : i;
      Program::run(phases, static_cast<unsigned>(index), static_cast<unsigned>(count), arguments);
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
