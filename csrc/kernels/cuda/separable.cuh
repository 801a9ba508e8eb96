// The entry points of separable.h, for a launcher.
#pragma once

#include "blur_pool.cuh"
#include "separable_lines.cuh"
#include "separable_plane.cuh"
#include "separable_warps.cuh"

namespace freqops::cuda {

// A map in the lines form: one kernel for each axis that has a matrix, with what is between them in `work`.
template <class T, class Launcher>
class SeparableByLines {
 public:
  using Value = value_of<T>;

  SeparableByLines(const Launcher& launcher, const SeparableProblem& problem)
      : launcher_(launcher), problem_(problem), rows_first_(is_rows_first(problem)) {
    const Images& x = problem.x;
    interleaved_ = x.channels > 1 && x.channel_stride == 1 && x.column_stride != 1;
  }

  // Numbers between the axes, and of the sums that an outer term is added to.
  static int64_t work(const SeparableProblem& problem) {
    if (!problem.rows || !problem.columns) return 0;
    return between(problem) +
           (problem.outer ? problem.x.planes() * results(problem.y.height, problem) * results(problem.y.width, problem)
                          : 0);
  }

  int run(void* work) const {
    const Images &x = problem_.x, &y = problem_.y;
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(y.data);
    if (!problem_.columns) return run_rows(from, to, x.width);
    if (!problem_.rows) return run_columns(from, to, x.height);
    Value* middle = static_cast<Value*>(work);
    Value* sums = middle + between(problem_);
    if (const int error = run_first(from, middle); error != 0) return error;
    if (!problem_.outer) return run_second(middle, to);
    if (const int error = run_second(middle, sums); error != 0) return error;
    return add_outer(sums, to);
  }

 private:
  static bool is_rows_first(const SeparableProblem& problem) {
    return SeparablePlanePlan<Value>::is_rows_first(problem);
  }
  static int64_t results(int64_t outputs, const SeparableProblem& problem) { return outputs + (problem.outer ? 1 : 0); }
  static int64_t between(const SeparableProblem& problem) {
    const Images &x = problem.x, &y = problem.y;
    return x.planes() *
           (is_rows_first(problem) ? results(y.height, problem) * x.width : x.height * results(y.width, problem));
  }

  const Value* outer() const { return static_cast<const Value*>(problem_.outer); }
  int run_first(const T* from, Value* to) const {
    return rows_first_ ? run_rows(from, to, problem_.x.width) : run_columns(from, to, problem_.x.height);
  }
  template <class U>
  int run_second(const Value* from, U* to) const {
    return rows_first_ ? run_columns(from, to, results(problem_.y.height, problem_))
                       : run_rows(from, to, results(problem_.y.width, problem_));
  }
  // Along the height, of planes so wide at that time.
  template <class From, class To>
  int run_rows(const From* from, To* to, int64_t width) const {
    const Images &x = problem_.x, &y = problem_.y;
    const Value* q = outer() ? outer() + y.height : nullptr;
    const SeparableAxis<Value> axis(problem_.rows, q, x.height, y.height, problem_.mirrored);
    return interleaved_ ? run_axis(axis, from, to, x.batch, width * x.channels)
                        : run_axis(axis, from, to, x.planes(), width);
  }
  template <class From, class To>
  int run_columns(const From* from, To* to, int64_t height) const {
    const Images &x = problem_.x, &y = problem_.y;
    const Value* q = outer() ? outer() + y.height + x.height + y.width : nullptr;
    const SeparableAxis<Value> axis(problem_.columns, q, x.width, y.width, problem_.mirrored);
    return interleaved_ ? run_axis(axis, from, to, x.batch * height, x.channels)
                        : run_axis(axis, from, to, x.planes() * height, int64_t{1});
  }
  template <class From, class To>
  int run_axis(const SeparableAxis<Value>& axis, const From* from, To* to, int64_t outer, int64_t inner) const {
    using Program = SeparableLines<From, To, Value>;
    const typename Program::Arguments arguments{.axis = axis, .x = from, .y = to, .outer = outer, .inner = inner};
    return launcher_.template run<Program>(arguments.blocks(), Program::kSharedBytes, arguments);
  }

  int add_outer(const Value* sums, T* to) const {
    using Program = SeparableOuter<T, Value>;
    const Images &x = problem_.x, &y = problem_.y;
    const int64_t planes = interleaved_ ? x.batch : x.planes(), results = y.planes() * y.height * y.width;
    const typename Program::Arguments arguments{.sums = sums,
                                                .y = to,
                                                .p_h = outer(),
                                                .p_w = outer() + y.height + x.height,
                                                .planes = planes,
                                                .height = y.height,
                                                .width = y.width,
                                                .channels = interleaved_ ? x.channels : 1};
    const int64_t blocks = (results + Program::kThreads - 1) / Program::kThreads;
    return launcher_.template run<Program>(blocks, Program::kSharedBytes, arguments);
  }

  const Launcher& launcher_;
  const SeparableProblem& problem_;
  bool rows_first_, interleaved_;
};

template <class Launcher>
SeparablePath separable_path(const Launcher& launcher, const SeparableProblem& problem) {
  SeparablePath path{};
  visit_element(problem.x.element, [&](auto element) {
    SeparablePlanePlan<value_of<decltype(element)>> planes(problem);
    SeparableWarpPlan warps(problem);
    path = choose_path(launcher.largest_shared_bytes(), planes, warps);
    return 0;
  });
  return path;
}

template <class Launcher>
int64_t separable_work(const Launcher& launcher, const SeparableProblem& problem) {
  if (separable_path(launcher, problem) != SeparablePath::kLines) return 0;
  return SeparableByLines<float, Launcher>::work(problem);
}

template <class Launcher>
int run_separable(const Launcher& launcher, const SeparableProblem& problem, void* work) {
  return visit_element(problem.x.element, [&](auto element) {
    using T = decltype(element);
    SeparablePlanePlan<value_of<T>> planes(problem);
    SeparableWarpPlan warps(problem);
    const SeparablePath path = choose_path(launcher.largest_shared_bytes(), planes, warps);
    if (path == SeparablePath::kPlane) return run_separable_planes<T>(launcher, planes);
    if constexpr (sizeof(T) == 2) {
      if (path == SeparablePath::kTensorCores) return run_separable_warps<T>(launcher, warps);
    }
    return SeparableByLines<T, Launcher>(launcher, problem).run(work);
  });
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_SEPARABLE(Launcher)                                                                             \
  namespace freqops::cuda {                                                                                            \
  SeparablePath separable_path(const SeparableProblem& problem) { return separable_path(Launcher(nullptr), problem); } \
  int64_t separable_work(const SeparableProblem& problem) { return separable_work(Launcher(nullptr), problem); }       \
  int separable(const SeparableProblem& problem, void* work, void* stream) {                                           \
    return run_separable(Launcher(stream), problem, work);                                                             \
  }                                                                                                                    \
  }
