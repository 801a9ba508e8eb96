// The sizes for which the padded filter is compiled, and how a block keeps their planes in shared memory.
#pragma once

#include <cstdint>

#include "axis.h"
#include "plane_pair.h"
#include "plane_plan.cuh"

namespace freqops::cuda {

// Images of Size x Size on a grid whose rows and columns are an Axis each. A block keeps the response of a channel, and
// Pairs of planes side by side, and Threads work on them. BlocksPerSm is what the register budget is made for.
template <class Axis_, int Size, int Pairs, int Threads, int BlocksPerSm>
struct PaddedPlan {
  using Axis = Axis_;
  static constexpr int kGrid = Axis::kLength, kGridPixels = kGrid * kGrid, kSize = Size, kPixels = Size * Size;
  static constexpr int kPairs = Pairs, kThreads = Threads, kBlocksPerSm = BlocksPerSm;

  // Where one stage does an axis, what lies below the image never leaves the registers.
  static constexpr int kRows = Axis::kTwoStages ? kGrid : Size;
  // Shared memory has 16 banks of one complex value. Neighbouring threads of a phase work on neighbouring rows, columns
  // or, where there are enough of them, pairs: an odd pitch keeps them out of each other's banks.
  static constexpr bool kInterleaved = Pairs % 16 == 0;
  static constexpr int kPitch = kGrid | 1, kPlanePitch = kInterleaved ? (kRows * kPitch) | 1 : kRows * kPitch;
  static constexpr int kRoots = Axis::kTwoStages ? kGrid : 0;
  // How many elements of a first butterfly are rows or columns of the image: the others are zero, or not needed.
  static constexpr int kLive = Size / (Axis::kTwoStages ? Axis::kSpan : 1);

  static_assert(!Axis::kTwoStages || (Pairs == 1 && Size % Axis::kSpan == 0 && Threads % Axis::kSpan == 0),
                "all butterflies of a first stage are alike, and a thread keeps its twiddles in registers");
  static_assert(Axis::kTwoStages || Threads >= kPixels, "a thread has a pixel of every pair that it meets");
};

template <class Plan>
struct PaddedShared {
  Complex<float> roots[Plan::kRoots > 0 ? Plan::kRoots : 1];
  Complex<float> gain[Plan::kGridPixels];
  Complex<float> plane[Plan::kPairs * Plan::kPlanePitch];
  PlanePair pair[Plan::kPairs];
};

// What depthwise convolutions of the usual sizes need: a grid of the image and half the kernel. Tuning means editing a
// row.
template <class... Plans>
struct PaddedPlanList {
  // Calls f(plan) with the plan for images of this size on this grid; false if there is none.
  template <class F>
  static bool with(int size, int grid, F&& f) {
    const auto try_plan = [&](auto plan) {
      using Plan = decltype(plan);
      if (Plan::kSize != size || Plan::kGrid != grid) return false;
      f(plan);
      return true;
    };
    return (try_plan(Plans{}) || ...);
  }
  // Calls f(side) for the sides of the grids that images of this size have plans for.
  template <class F>
  static void for_each_grid(int size, F&& f) {
    ((Plans::kSize == size ? f(Plans::kGrid) : void()), ...);
  }
};
// clang-format off
//                                             axis        image pairs threads blocks per SM
using PaddedPlans = PaddedPlanList<PaddedPlan<Axis<14>,    7,    16, 128, 6>,
                                   PaddedPlan<Axis<28>,   14,     8, 224, 3>,
                                   PaddedPlan<Axis<6, 7>, 28,     1, 252, 4>,
                                   PaddedPlan<Axis<8, 8>, 56,     1, 256, 3>,
                                   PaddedPlan<Axis<9, 8>, 56,     1, 288, 2>>;
// clang-format on

}  // namespace freqops::cuda
