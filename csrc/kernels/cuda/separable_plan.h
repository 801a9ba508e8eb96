// How planes are divided among blocks that hold them in shared memory (separable_plane.cuh), and which form takes a
// problem. Host code, apart from the structs.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>
#include <initializer_list>

#include "blur_pool_path.h"
#include "divisor.h"
#include "separable.h"
#include "separable_axis.h"

namespace freqops::cuda {

inline constexpr int kSeparableThreads = 128;
// With so many bytes four blocks are resident on what has 228 KB.
inline constexpr int kSeparableBytes = 56 * 1024;
inline constexpr int64_t kLargestSeparableAxis = 4096;

// What neighbouring threads stage and store: along the first axis, along the second one, or channels of a place.
enum class SeparableLanes { kFirst, kSecond, kUnits };

// Images as a block sees them: planes of an image, or channels of a place, are its units.
struct SeparableImages {
  void* data;
  int64_t image;            // strides in elements
  int unit, first, second;  // of an image fewer than 2^31 elements are spanned
};

// Where the outputs of a tile's pairs go, in bytes; -1: nowhere.
struct alignas(16) PairPlaces {
  int first[kTilePairs], second[kTilePairs];
};

// An ideal low pass that halves an axis leaves every second sample to one output: y[m] has no part of x[2n], n != m. Then
// half the products are with zeros. Whether a matrix is like that is seen when it has been read. On shorter axes what is
// saved is less than what it costs to handle those samples one by one.
inline constexpr int kShortestHalvedAxis = 40;
template <class Value>
FREQOPS_HOST_DEVICE bool is_halved(const SeparableAxis<Value>& axis) {
  return axis.mirrored && axis.size == 2 * axis.outputs && axis.size >= kShortestHalvedAxis;
}

template <class Value>
struct SeparablePlaneArguments {
  SeparableAxis<Value> first, second;  // in the order in which they are applied
  const Value *p_first, *p_second;     // of the outer term, or null
  SeparableImages x, y;
  int channels, groups, units;  // units of an image; blocks' rounds of an image; units of a round
  bool whole;                   // the results of a round lie in memory as they do in shared memory
  SeparableLanes lanes;
  int vector;      // elements that are staged at a time: 4, 2 or 1
  int stage_span;  // of c in samples c, c + 1, ... that are staged together, folded along the first axis
  // Where the first axis is halved, samples with odd numbers are staged before those with even ones, in so many slots.
  // 0: in their order.
  int odd_slots;
  Divisor stage_inner, stage_outer, store_inner, store_outer;
  Divisor by_units, by_first_tiles, by_first_results, by_fours;
  int fours;                                     // of the columns that the second axis has
  int staged_step, passed_step;                  // of a line, in numbers
  int result_unit, result_first, result_second;  // steps between results in shared memory
  int first_places_at, second_weights_at, second_places_at, staged_at,
      passed_at;  // places in shared memory, in numbers
  int64_t rounds;
};

// Numbers of shared memory times a size stay below 2^31, as Divisor asks; offsets in an image do so too.
inline bool has_small_planes(const SeparableProblem& problem) {
  const Images &x = problem.x, &y = problem.y;
  const int64_t largest = std::max({x.height, x.width, y.height, y.width});
  const int64_t spanned = std::max(x.height * x.row_stride, y.height * y.row_stride);
  return problem.rows && problem.columns && largest <= kLargestSeparableAxis && spanned <= INT_MAX;
}

// What both forms have in common that hold planes in shared memory.
template <class Arguments, class Value>
class SeparableRounds {
 public:
  SeparableRounds(const SeparableProblem& problem, bool rows_first) : problem_(problem), rows_first_(rows_first) {
    const Images &x = problem.x, &y = problem.y;
    const auto* outer = static_cast<const Value*>(problem.outer);
    const Value* q_h = outer ? outer + y.height : nullptr;
    const Value* p_w = outer ? q_h + x.height : nullptr;
    const SeparableAxis<Value> h(problem.rows, q_h, x.height, y.height, problem.mirrored);
    const SeparableAxis<Value> w(problem.columns, outer ? p_w + y.width : nullptr, x.width, y.width, problem.mirrored);
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

  const Arguments& arguments() const { return arguments_; }
  int64_t shared_bytes() const { return shared_bytes_; }
  int64_t rounds() const { return arguments_.rounds; }

 protected:
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

  // The number of units that costs least for each, with lay_out(units) giving bytes of shared memory. 0: not even one unit
  // fits. More units than a block has threads are never needed to keep all of them busy.
  template <class LayOut, class CostOfUnit>
  int best_units(int64_t most_bytes, LayOut&& lay_out, CostOfUnit&& cost_of_unit) {
    double best = -1;
    int best_units = 0;
    for (int units = 1; units <= std::min<int64_t>(channels_, kSeparableThreads); ++units) {
      const int64_t bytes = lay_out(units);
      if (bytes > (units == 1 ? most_bytes : std::min<int64_t>(most_bytes, kSeparableBytes))) break;
      const double cost = cost_of_unit(units);
      if (best >= 0 && cost >= best) continue;
      best = cost;
      best_units = units;
    }
    return best_units;
  }

  // How results lie, and in which order they are stored.
  void lay_out_results(int units) {
    Arguments& a = arguments_;
    const int width = rows_first_ ? a.second.results : a.first.results;
    const int height = rows_first_ ? a.first.results : a.second.results;
    a.units = units;
    a.channels = static_cast<int>(channels_);
    a.groups = static_cast<int>((channels_ + units - 1) / units);
    a.rounds = images_ * a.groups;
    a.whole = !interleaved_ && !a.p_first;
    a.lanes = interleaved_ ? SeparableLanes::kUnits : rows_first_ ? SeparableLanes::kSecond : SeparableLanes::kFirst;
    a.result_unit = height * width;
    a.result_first = rows_first_ ? width : 1;
    a.result_second = rows_first_ ? 1 : width;
    a.store_inner = Divisor(interleaved_ ? units : rows_first_ ? a.second.outputs : a.first.outputs);
    a.store_outer = Divisor(interleaved_ || rows_first_ ? a.first.outputs : a.second.outputs);
  }
  // Samples are staged `vector` at a time: so many vectors along the first axis, so many places along the second.
  void lay_out_stage(int vectors, int second) {
    Arguments& a = arguments_;
    a.stage_inner = Divisor(interleaved_ ? a.units : rows_first_ ? second : vectors);
    a.stage_outer = Divisor(interleaved_ || rows_first_ ? vectors : second);
  }
  // The most of these elements that rows start at multiples of, in memory too.
  int vector_of(std::initializer_list<int> counts) const {
    if (arguments_.lanes != SeparableLanes::kFirst) return 1;
    const Images& x = problem_.x;
    const int64_t bytes = x.element == Element::kDouble ? 8 : x.element == Element::kFloat ? 4 : 2;
    for (const int count : counts) {
      if (x.width % count == 0 && reinterpret_cast<uintptr_t>(x.data) % (count * bytes) == 0) return count;
    }
    return 1;
  }

  const SeparableProblem problem_;
  const bool rows_first_;
  Arguments arguments_ = {};
  bool interleaved_;
  int64_t images_, channels_, shared_bytes_ = 0;
};

template <class Value>
class SeparablePlanePlan : public SeparableRounds<SeparablePlaneArguments<Value>, Value> {
 public:
  using Base = SeparableRounds<SeparablePlaneArguments<Value>, Value>;
  using Arguments = SeparablePlaneArguments<Value>;

  explicit SeparablePlanePlan(const SeparableProblem& problem) : Base(problem, is_rows_first(problem)) {
    Arguments& a = this->arguments_;
    a.stage_span = a.first.even;
    if (!is_halved(a.first)) return;
    const int even_slots = rounded_up(a.first.size / 4 + 1, kTileSamples);
    a.odd_slots = rounded_up((a.first.size / 2 + 1) / 2, kTileSamples);
    a.first.even = a.first.odd = a.odd_slots + even_slots;
    a.stage_span = 2 * even_slots;
  }

  // Whichever leaves less in between.
  static bool is_rows_first(const SeparableProblem& problem) {
    return problem.y.height * problem.x.width < problem.x.height * problem.y.width;
  }

  // False where not even one plane fits so many bytes.
  bool make(int64_t most_bytes) {
    if (!has_small_planes(this->problem_)) return false;
    const int units = this->best_units(
        most_bytes, [&](int count) { return lay_out(count); }, [&](int count) { return cost_of_unit(count); });
    if (units == 0) return false;
    this->shared_bytes_ = lay_out(units);
    this->lay_out_results(units);
    Arguments& a = this->arguments_;
    a.vector = sizeof(Value) > 4 ? 1 : this->vector_of({4, 2});
    this->lay_out_stage(a.stage_span / a.vector, a.second.unpaired());
    a.by_units = Divisor(a.units);
    a.by_first_tiles = Divisor(a.first.tiles);
    a.by_first_results = Divisor(a.first.results);
    a.by_fours = Divisor(a.fours);
    return true;
  }

 private:
  // Bytes of shared memory for so many units.
  int64_t lay_out(int units) {
    Arguments& a = this->arguments_;
    // Lines an odd number of fours apart: eight neighbouring ones are read without bank conflicts.
    a.staged_step = rounded_up(a.first.staged() + 4, 8) - 4;
    const int64_t columns = int64_t{units} * a.first.results;
    a.passed_step = rounded_up(static_cast<int>(columns), 4);
    a.fours = a.passed_step / 4;
    const int64_t staged = int64_t{units} * a.second.size * a.staged_step, results = columns * a.second.results;
    const int64_t passed = int64_t{a.second.size} * a.passed_step;
    a.first_places_at = weights(a.first);
    a.second_weights_at = a.first_places_at + places(a.first);
    a.second_places_at = a.second_weights_at + weights(a.second);
    a.staged_at = a.second_places_at + places(a.second);
    const int64_t passed_at = a.staged_at + (std::max(staged, results) + 3) / 4 * 4;
    a.passed_at = static_cast<int>(std::min<int64_t>(passed_at, INT_MAX));
    return (passed_at + passed) * int64_t{sizeof(Value)};
  }
  static int weights(const SeparableAxis<Value>& axis) { return axis.weights_step() * axis.tiles * kTilePairs; }

  static int places(const SeparableAxis<Value>& axis) {
    return axis.tiles * static_cast<int>(sizeof(PairPlaces) / sizeof(Value));
  }

  // Multiply-adds that a thread's turns take, for each plane; the rest of the work is the same for any number of units.
  double cost_of_unit(int units) const {
    const Arguments& a = this->arguments_;
    const auto turns = [](int64_t tasks) { return double((tasks + kSeparableThreads - 1) / kSeparableThreads); };
    const double first = turns((int64_t{units} * a.second.size + 3) / 4 * a.first.tiles) * (a.first.even + a.first.odd);
    const double second = turns(int64_t{a.fours} * a.second.tiles) * (a.second.even + a.second.odd);
    constexpr double kBarriers = 30;
    return (first + second + kBarriers) / units;
  }
};

// --- matrix instructions ------------------------------------------------------------------------------

inline constexpr int kFragmentRows = 16, kFragmentSamples = 16;  // of a matrix
inline constexpr int kFragmentWords = 128;                       // two bfloat16 each
inline constexpr int kWarpTiles = 4;  // of outputs of the second axis that a warp sums at a time
inline constexpr int kSeparableWarps = kSeparableThreads / 32;
inline constexpr int64_t kSmallestFragmentAxis = 20;  // shorter ones are mostly padding

// Matrices, and for float16 also samples, are two bfloat16 each, whose sum has 16 bits.
struct SeparableWarpArguments : SeparablePlaneArguments<float> {
  int first_fragments, second_fragments;  // of kFragmentRows outputs
  int first_steps, second_steps;          // of kFragmentSamples samples
  int low_at;                             // from a staged sample to what is left of it, in words
  int tile_groups, results_at;
  Divisor by_first_fragments, by_tile_groups;

  FREQOPS_HOST_DEVICE int staged_lines() const { return second_steps * kFragmentSamples; }
  FREQOPS_HOST_DEVICE int tasks() const { return units * first_fragments * tile_groups; }
};

class SeparableWarpPlan : public SeparableRounds<SeparableWarpArguments, float> {
 public:
  explicit SeparableWarpPlan(const SeparableProblem& problem) : SeparableRounds(problem, false) {}

  bool make(int64_t most_bytes) {
    const Element element = problem_.x.element;
    const bool halves = element == Element::kHalf || element == Element::kBFloat16;
    if (!halves || std::min(problem_.x.height, problem_.x.width) < kSmallestFragmentAxis) return false;
    if (!has_small_planes(problem_)) return false;
    const auto groups = [](int count, int of) { return (count + of - 1) / of; };
    SeparableWarpArguments& a = arguments_;
    a.first_fragments = groups(a.first.results, kFragmentRows);
    a.second_fragments = groups(a.second.results, kFragmentRows);
    a.first_steps = groups(a.first.size, kFragmentSamples);
    a.second_steps = groups(a.second.size, kFragmentSamples);
    a.tile_groups = groups(a.second_fragments, kWarpTiles);
    const int units = best_units(
        most_bytes, [&](int count) { return lay_out(count); },
        [&](int count) {
          constexpr double kBarriers = 0.5;
          return (groups(count * a.first_fragments * a.tile_groups, kSeparableWarps) + kBarriers) / count;
        });
    if (units == 0) return false;
    shared_bytes_ = lay_out(units);
    lay_out_results(units);
    a.by_first_fragments = Divisor(a.first_fragments);
    a.by_tile_groups = Divisor(a.tile_groups);
    a.vector = vector_of({8, 4, 2});
    lay_out_stage((a.first.size + a.vector - 1) / a.vector, a.second.size);
    return true;
  }

 private:
  int64_t lay_out(int units) {
    SeparableWarpArguments& a = arguments_;
    // Lines an odd number of fours of words apart: the eight of a fragment lie in different banks.
    a.staged_step = rounded_up(a.first_steps * kFragmentSamples / 2 + 4, 8) - 4;
    a.second_weights_at = 2 * a.first_fragments * a.first_steps * kFragmentWords;
    a.staged_at = a.second_weights_at + 2 * a.second_fragments * a.second_steps * kFragmentWords;
    const int64_t staged = int64_t{units} * a.staged_lines() * a.staged_step;
    const bool split = problem_.x.element == Element::kHalf;
    a.low_at = static_cast<int>(std::min<int64_t>(staged, INT_MAX));
    const int64_t results_at = a.staged_at + (split ? 2 : 1) * staged;
    a.results_at = static_cast<int>(std::min<int64_t>(results_at, INT_MAX));
    return (results_at + int64_t{units} * a.first.results * a.second.results) * int64_t{sizeof(float)};
  }
};

// Of a device that grants a block so much shared memory. The plan of that path is made.
template <class Value>
SeparablePath choose_path(int64_t shared_bytes, SeparablePlanePlan<Value>& planes, SeparableWarpPlan& warps) {
  if (warps.make(shared_bytes)) return SeparablePath::kTensorCores;
  return planes.make(shared_bytes) ? SeparablePath::kPlane : SeparablePath::kLines;
}

}  // namespace freqops::cuda
