// How a block keeps planes in shared memory, which planes it works on, and every size that is
// compiled.
#pragma once

#include <cstdint>

#include "axis.h"
#include "filter_arguments.h"

namespace freqops::cuda {

// A block keeps Pairs of planes side by side in shared memory and Threads work on them. BlocksPerSm
// is what the register budget is made for; devices with less shared memory run fewer.
template <class AxisH_, class AxisW_, int Pairs, int Threads, int BlocksPerSm>
struct PlanePlan {
  using AxisH = AxisH_;
  using AxisW = AxisW_;
  static constexpr int kHeight = AxisH::kLength, kWidth = AxisW::kLength, kPixels = kHeight * kWidth;
  static constexpr int kPairs = Pairs, kRows = Pairs * kHeight, kThreads = Threads, kBlocksPerSm = BlocksPerSm;

  // Shared memory has 16 banks of one complex value. Neighbouring threads of a row or column phase
  // work on neighbouring pairs where there are enough of them, else on neighbouring rows or
  // columns; the odd pitch between pairs, or between rows, keeps them out of each other's banks.
  static constexpr bool kInterleaved = kPairs % 16 == 0;
  static constexpr int kPitch = kInterleaved ? kWidth : kWidth | 1;
  static constexpr int kPlanePitch = kInterleaved ? kPixels | 1 : kHeight * kPitch;

  // Twiddles lie in shared memory: first those of W, then those of H unless they are the same.
  static constexpr int kRootsW = AxisW::kTwoStages ? kWidth : 0;
  static constexpr bool kShareRoots = kHeight == kWidth && AxisW::kTwoStages;
  static constexpr int kRootsH = AxisH::kTwoStages && !kShareRoots ? kHeight : 0;
  static constexpr int kRoots = kRootsW + kRootsH;

  static_assert(!AxisW::kTwoStages || Threads % AxisW::kSpan == 0, "a thread keeps its twiddles in registers");
  static_assert(!kInterleaved || !(AxisH::kTwoStages || AxisW::kTwoStages), "no two-stage phase knows of pairs");
};

// Where the two planes of a pair start, in elements of x and y. The last plane of an odd batch is
// paired with itself.
struct PlanePair {
  int64_t first, second;
  int64_t response;
  bool active;
  bool redo;
};

template <class Plan>
struct PlaneShared {
  Complex<float> roots[Plan::kRoots > 0 ? Plan::kRoots : 1];
  Complex<float> plane[Plan::kPairs * Plan::kPlanePitch];
  PlanePair pair[Plan::kPairs];
};

enum class Pass { kTogether, kFirstApart, kSecondApart };

// Images 2i and 2i + 1 of a channel form a pair, since they have the same response. Pairs are
// counted through the images of one channel first, so that a block meets few channels: its threads
// read the same response at the same time.
template <class Plan>
FREQOPS_HOST_DEVICE void choose_pair(PlanePair& pair, const PlaneBatch& batch, int64_t index, Pass pass) {
  if (pass == Pass::kTogether) pair.redo = false;
  pair.active = index < batch.pairs() && (pass == Pass::kTogether || pair.redo);
  if (!pair.active) {
    pair.response = 0;
    return;
  }
  // Launchers keep the number of pairs below 2^31; a 64-bit division would cost as much as a small
  // transform.
  const uint32_t image_pairs = static_cast<uint32_t>(batch.image_pairs());
  const uint32_t channel = static_cast<uint32_t>(index) / image_pairs;
  const int64_t first_image = 2 * static_cast<int64_t>(static_cast<uint32_t>(index) % image_pairs);
  const int64_t second_image = first_image + 1 < batch.images ? first_image + 1 : first_image;
  pair.first = (first_image * batch.channels + channel) * Plan::kPixels;
  pair.second = (second_image * batch.channels + channel) * Plan::kPixels;
  pair.response = static_cast<int64_t>(channel) * Plan::kPixels;
  if (pass == Pass::kFirstApart) pair.second = pair.first;
  if (pass == Pass::kSecondApart) pair.first = pair.second;
}

// Every size that is compiled. Tuning means editing a row; the launcher and the host replay both
// read this list.
template <class... Plans>
struct PlanList {
  // Calls f(plan) with the plan of this size; false if there is none.
  template <class F>
  static bool with(int height, int width, F&& f) {
    const auto try_plan = [&](auto plan) {
      using Plan = decltype(plan);
      if (Plan::kHeight != height || Plan::kWidth != width) return false;
      f(plan);
      return true;
    };
    return (try_plan(Plans{}) || ...);
  }
  template <class F>
  static void for_each(F&& f) {
    (f(Plans{}), ...);
  }
};
// clang-format off
//                                  H             W        pairs threads blocks per SM
using PlanePlans = PlanList<PlanePlan<Axis<7>,      Axis<7>,      32, 224, 5>,
                            PlanePlan<Axis<8>,      Axis<8>,      32, 256, 5>,
                            PlanePlan<Axis<14>,     Axis<14>,     16, 224, 3>,
                            PlanePlan<Axis<16>,     Axis<16>,     16, 256, 3>,
                            PlanePlan<Axis<28>,     Axis<28>,      8, 224, 3>,
                            PlanePlan<Axis<32>,     Axis<32>,      8, 256, 2>,
                            PlanePlan<Axis<8, 7>,   Axis<7, 8>,    2, 224, 4>,
                            PlanePlan<Axis<8, 8>,   Axis<8, 8>,    1, 256, 4>,
                            PlanePlan<Axis<12, 8>,  Axis<6, 16>,   1, 384, 2>,
                            PlanePlan<Axis<14, 8>,  Axis<7, 16>,   1, 448, 2>,
                            PlanePlan<Axis<16, 8>,  Axis<8, 16>,   1, 512, 1>>;
// clang-format on

}  // namespace freqops::cuda
