// How planes are divided among blocks that hold them in shared memory (separable_plane.cuh), and which form takes a
// problem. Host code, apart from the structs.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>

#include "blur_pool_path.h"
#include "divisor.h"
#include "separable.h"
#include "separable_axis.h"

namespace freqops::cuda {

inline constexpr int kSeparableThreads = 128;
// With so many bytes four blocks are resident on what has 228 KB.
inline constexpr int kSeparableBytes = 56 * 1024;
// Numbers of shared memory times a size stay below 2^31, as Divisor asks.
inline constexpr int64_t kLargestSeparableAxis = 4096;

// What neighbouring threads stage and store: along the first axis, along the second one, or channels of a place.
enum class SeparableLanes { kFirst, kSecond, kUnits };

// Images as a block sees them: planes of an image, or channels of a place, are its units.
struct SeparableImages {
  void* data;
  int64_t image;            // strides in elements
  int unit, first, second;  // of an image fewer than 2^31 elements are spanned
};

template <class Value>
struct SeparablePlaneArguments {
  SeparableAxis<Value> first, second;  // in the order in which they are applied
  const Value *p_first, *p_second;     // of the outer term, or null
  SeparableImages x, y;
  int channels, groups, units;  // units of an image; blocks' rounds of an image; units of a round
  bool whole;                   // the results of a round lie in memory as they do in shared memory
  SeparableLanes lanes;
  int vector;                   // elements that are staged at a time: 4, 2 or 1
  Divisor stage_inner, stage_outer, store_inner, store_outer;
  Divisor by_units, by_first_tiles, by_first_results, by_fours;
  int fours;                                        // of the columns that the second axis has
  int staged_step, passed_step;                     // of a line, in numbers
  int result_unit, result_first, result_second;     // steps between results in shared memory
  int second_weights_at, staged_at, passed_at;      // places in shared memory, in numbers
  int64_t rounds;
};

template <class Value>
class SeparablePlanePlan {
 public:
  using Arguments = SeparablePlaneArguments<Value>;

  explicit SeparablePlanePlan(const SeparableProblem& problem) : problem_(problem) {
    const Images &x = problem.x, &y = problem.y;
    const auto* outer = static_cast<const Value*>(problem.outer);
    const Value* q_h = outer ? outer + y.height : nullptr;
    const Value* p_w = outer ? q_h + x.height : nullptr;
    const SeparableAxis<Value> h(problem.rows, q_h, x.height, y.height, problem.mirrored);
    const SeparableAxis<Value> w(problem.columns, outer ? p_w + y.width : nullptr, x.width, y.width, problem.mirrored);
    const bool rows_first = is_rows_first(problem);
    Arguments& a = arguments_;
    a.first = rows_first ? h : w;
    a.second = rows_first ? w : h;
    a.p_first = rows_first ? outer : p_w;
    a.p_second = rows_first ? p_w : outer;
    a.x = seen(x, rows_first);
    a.y = seen(y, rows_first);
    interleaved_ = x.channels > 1 && x.channel_stride == 1 && x.column_stride != 1;
    fold_images();
  }

  // Whichever leaves less in between.
  static bool is_rows_first(const SeparableProblem& problem) {
    return problem.y.height * problem.x.width < problem.x.height * problem.y.width;
  }

  // False where not even one plane fits so many bytes.
  bool make(int64_t most_bytes) {
    const Images &x = problem_.x, &y = problem_.y;
    const int64_t largest = std::max({x.height, x.width, y.height, y.width});
    const int64_t spanned = std::max(x.height * x.row_stride, y.height * y.row_stride);
    if (!problem_.rows || !problem_.columns || largest > kLargestSeparableAxis || spanned > INT_MAX) return false;
    double best = -1;
    int best_units = 0;
    // More units than a block has threads are never needed to keep all of them busy.
    for (int units = 1; units <= std::min<int64_t>(channels_, kSeparableThreads); ++units) {
      const int64_t bytes = lay_out(units);
      if (bytes > (units == 1 ? most_bytes : std::min<int64_t>(most_bytes, kSeparableBytes))) break;
      if (best >= 0 && cost_of_unit(units) >= best) continue;
      best = cost_of_unit(units);
      best_units = units;
    }
    if (best < 0) return false;
    shared_bytes_ = lay_out(best_units);
    finish();
    return true;
  }

  const Arguments& arguments() const { return arguments_; }
  int64_t shared_bytes() const { return shared_bytes_; }
  int64_t rounds() const { return arguments_.rounds; }

 private:
  static SeparableImages seen(const Images& images, bool rows_first) {
    return {.data = images.data,
            .image = images.batch_stride,
            .unit = static_cast<int>(images.channel_stride),
            .first = static_cast<int>(rows_first ? images.row_stride : images.column_stride),
            .second = static_cast<int>(rows_first ? images.column_stride : images.row_stride)};
  }
  // Planes of all images are one image's where a plane is whole.
  void fold_images() {
    images_ = problem_.x.batch;
    channels_ = problem_.x.channels;
    if (interleaved_) return;
    channels_ *= images_;
    images_ = 1;
  }

  // Bytes of shared memory for so many units.
  int64_t lay_out(int units) {
    Arguments& a = arguments_;
    a.units = units;
    // Lines an odd number of fours apart: eight neighbouring ones are read without bank conflicts.
    a.staged_step = rounded_up(a.first.staged() + 4, 8) - 4;
    const int64_t columns = int64_t{units} * a.first.results;
    a.passed_step = rounded_up(static_cast<int>(columns), 4);
    a.fours = a.passed_step / 4;
    const int64_t staged = int64_t{units} * a.second.size * a.staged_step, results = columns * a.second.results;
    const int64_t passed = int64_t{a.second.size} * a.passed_step;
    a.second_weights_at = weights(a.first);
    a.staged_at = a.second_weights_at + weights(a.second);
    const int64_t passed_at = a.staged_at + (std::max(staged, results) + 3) / 4 * 4;
    a.passed_at = static_cast<int>(std::min<int64_t>(passed_at, INT_MAX));
    return (passed_at + passed) * int64_t{sizeof(Value)};
  }
  static int weights(const SeparableAxis<Value>& axis) { return axis.weights_step() * axis.tiles * kTilePairs; }

  // Multiply-adds that a thread's turns take, for each plane; the rest of the work is the same for any number of units.
  double cost_of_unit(int units) const {
    const Arguments& a = arguments_;
    const auto turns = [](int64_t tasks) { return double((tasks + kSeparableThreads - 1) / kSeparableThreads); };
    const double first = turns((int64_t{units} * a.second.size + 3) / 4 * a.first.tiles) * (a.first.even + a.first.odd);
    const double second = turns(int64_t{a.fours} * a.second.tiles) * (a.second.even + a.second.odd);
    constexpr double kBarriers = 30;
    return (first + second + kBarriers) / units;
  }

  void finish() {
    Arguments& a = arguments_;
    const bool rows_first = is_rows_first(problem_);
    a.channels = static_cast<int>(channels_);
    a.groups = static_cast<int>((channels_ + a.units - 1) / a.units);
    a.rounds = images_ * a.groups;
    a.whole = !interleaved_ && !a.p_first;
    const int width = rows_first ? a.second.results : a.first.results;
    const int height = rows_first ? a.first.results : a.second.results;
    a.result_unit = height * width;
    a.result_first = rows_first ? width : 1;
    a.result_second = rows_first ? 1 : width;
    const int first = a.first.even, second = a.second.unpaired();
    a.lanes = interleaved_ ? SeparableLanes::kUnits : rows_first ? SeparableLanes::kSecond : SeparableLanes::kFirst;
    a.vector = a.lanes == SeparableLanes::kFirst ? vector_of(problem_.x) : 1;
    a.stage_inner = Divisor(interleaved_ ? a.units : rows_first ? second : first / a.vector);
    a.stage_outer = Divisor(interleaved_ || rows_first ? first : second);
    a.store_inner = Divisor(interleaved_ ? a.units : rows_first ? a.second.outputs : a.first.outputs);
    a.store_outer = Divisor(interleaved_ || rows_first ? a.first.outputs : a.second.outputs);
    a.by_units = Divisor(a.units);
    a.by_first_tiles = Divisor(a.first.tiles);
    a.by_first_results = Divisor(a.first.results);
    a.by_fours = Divisor(a.fours);
  }

  // Rows that start at multiples of so many elements, in memory too.
  static int vector_of(const Images& x) {
    const int64_t bytes = sizeof(Value) == 8 ? 8 : x.element == Element::kFloat ? 4 : 2;
    for (const int count : {4, 2}) {
      if (sizeof(Value) < 8 && x.width % count == 0 && reinterpret_cast<uintptr_t>(x.data) % (count * bytes) == 0) {
        return count;
      }
    }
    return 1;
  }

  const SeparableProblem problem_;
  Arguments arguments_ = {};
  bool interleaved_;
  int64_t images_, channels_, shared_bytes_ = 0;
};

// Of a device that grants a block so much shared memory. The plan is made where the path is kPlane.
template <class Value>
SeparablePath choose_path(int64_t shared_bytes, SeparablePlanePlan<Value>& plan) {
  return plan.make(shared_bytes) ? SeparablePath::kPlane : SeparablePath::kLines;
}

}  // namespace freqops::cuda
