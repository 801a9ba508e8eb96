#include "line_plan.h"

namespace freqops::cuda {
namespace {

// Radices with a butterfly (line_stages.cuh), in the order in which they are tried: large primes
// first since nothing else takes them, then the largest that fits, for few stages.
constexpr int kRadices[] = {31, 29, 23, 19, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2};

bool factorise(int length, LinePlan& plan) {
  plan.stages = 0;
  int rest = length;
  for (const int radix : kRadices) {
    while (rest % radix == 0) {
      if (plan.stages == AxisOrder::kMaxStages) return false;
      plan.stage[plan.stages++].radix = radix;
      rest /= radix;
    }
  }
  return rest == 1;
}

// The smallest of 2^a {1, 9/8, 5/4, 3/2, 7/4} that is at least `least`.
int convolution_length(int least) {
  for (int power = 1;; power *= 2) {
    for (const int eighths : {8, 9, 10, 12, 14}) {
      const int length = power * eighths / 8;
      if (power * eighths % 8 == 0 && length >= least) return length;
    }
  }
}

}  // namespace

bool plan_line(int length, LinePlan& plan) {
  constexpr int kLongest = 1 << 24;  // far above what shared memory holds; keeps the products below in range
  if (length < 1 || length > kLongest) return false;
  plan = LinePlan{};
  plan.length = plan.padded = length;
  if (!factorise(length, plan)) {
    plan.chirp = true;
    plan.padded = convolution_length(2 * length - 1);
    if (!factorise(plan.padded, plan)) return false;
  }
  int block = plan.padded;
  for (int i = 0; i < plan.stages; ++i) {
    LineStage& stage = plan.stage[i];
    stage.root_step = plan.padded / block;
    stage.span = block / stage.radix;
    stage.by_span = division_by(stage.span);
    block = stage.span;
  }
  return true;
}

}  // namespace freqops::cuda
