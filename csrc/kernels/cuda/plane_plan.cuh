// How a block keeps planes in shared memory, which planes it works on, and every size that is
// compiled.
#pragma once

#include <cstdint>

#include "axis.h"
#include "plane_pair.h"

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

template <class Plan>
struct PlaneShared {
  Complex<float> roots[Plan::kRoots > 0 ? Plan::kRoots : 1];
  Complex<float> plane[Plan::kPairs * Plan::kPlanePitch];
  PlanePair pair[Plan::kPairs];
};

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
