// The entry points of fft_filter.h, for a launcher: which form takes a problem, and the way there.
#pragma once

#include "../half.h"
#include "fft_filter_even_odd.h"
#include "fft_filter_lines.h"
#include "fft_filter_plane.h"

namespace freqops::cuda {

template <class Launcher>
bool form_takes(const Launcher& launcher, Form form, int height, int width) {
  switch (form) {
    case Form::kPlane:
      return plane_takes(launcher, height, width);
    case Form::kEvenOdd:
      return even_odd_takes(launcher, height, width);
    case Form::kLines:
      return lines_take(launcher, height, width);
    default:
      return false;
  }
}

// In order of preference where several take a size. Two planes that need a multiprocessor to
// themselves leave it idle at every barrier; single ones of that size run beside each other.
template <class Launcher>
Form choose_form(const Launcher& launcher, int height, int width) {
  const bool crowded = plane_blocks_per_sm(height, width) == 1;
  const Form first = crowded ? Form::kEvenOdd : Form::kPlane, second = crowded ? Form::kPlane : Form::kEvenOdd;
  for (const Form form : {first, second, Form::kLines}) {
    if (form_takes(launcher, form, height, width)) return form;
  }
  return Form::kNone;
}

inline int64_t table_size(Form form, const FilterShape& shape) {
  switch (form) {
    case Form::kPlane:
      return plane_table_size(shape);
    case Form::kEvenOdd:
      return even_odd_table_size(shape);
    case Form::kLines:
      return lines_table_size(shape);
    default:
      return 0;
  }
}

template <class Launcher>
int fill_table(const Launcher& launcher, Form form, const FilterShape& shape, const float* real, const float* imag,
               float* table) {
  switch (form) {
    case Form::kPlane:
      return fill_plane_table(launcher, shape, real, imag, table);
    case Form::kEvenOdd:
      return fill_even_odd_table(launcher, shape, real, imag, table);
    case Form::kLines:
      return fill_lines_table(launcher, shape, real, imag, table);
    default:
      return kInvalid;
  }
}

template <class Launcher>
int64_t work_bytes(const Launcher& launcher, Form form, const FilterShape& shape) {
  switch (form) {
    case Form::kPlane:
      return plane_work_bytes(launcher, shape);
    case Form::kEvenOdd:
      return even_odd_work_bytes(launcher, shape);
    case Form::kLines:
      return lines_work_bytes(launcher, shape);
    default:
      return 0;
  }
}

template <class Io, class Launcher>
int run_form(const Launcher& launcher, Form form, const FilterProblem& problem) {
  switch (form) {
    case Form::kPlane:
      return run_plane_filter<Launcher, Io>(launcher, problem);
    case Form::kEvenOdd:
      return run_even_odd_filter<Launcher, Io>(launcher, problem);
    case Form::kLines:
      return run_lines_filter(launcher, problem);
    default:
      return kInvalid;
  }
}

template <class Launcher>
int run_filter(const Launcher& launcher, Form form, const FilterProblem& problem) {
  switch (problem.element) {
    case Element::kFloat:
      return run_form<float>(launcher, form, problem);
    case Element::kHalf:
      return run_form<Half>(launcher, form, problem);
    case Element::kBFloat16:
      return run_form<BFloat16>(launcher, form, problem);
    default:
      return kInvalid;
  }
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_FFT_FILTER(Launcher)                                                                        \
  namespace freqops::cuda {                                                                                        \
  Form choose_form(int height, int width) { return choose_form(Launcher(nullptr), height, width); }                \
  bool form_takes(Form form, int height, int width) { return form_takes(Launcher(nullptr), form, height, width); } \
  int64_t response_table_size(Form form, const FilterShape& shape) { return table_size(form, shape); }             \
  int fill_response_table(Form form, const FilterShape& shape, const float* real, const float* imag, float* table, \
                          void* stream) {                                                                          \
    return fill_table(Launcher(stream), form, shape, real, imag, table);                                           \
  }                                                                                                                \
  int64_t filter_work_bytes(Form form, const FilterShape& shape) {                                                 \
    return work_bytes(Launcher(nullptr), form, shape);                                                             \
  }                                                                                                                \
  int fft_filter(Form form, const FilterProblem& problem, void* stream) {                                          \
    return run_filter(Launcher(stream), form, problem);                                                            \
  }                                                                                                                \
  }
