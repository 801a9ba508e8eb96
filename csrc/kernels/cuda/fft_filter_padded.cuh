// Two forms: `plane` for the listed sizes (fft_filter_padded_plane.cuh), and the kernels of the lines form for all others, to which
// an image is a plane of the grid whose other pixels are zero.
#pragma once

#include "fft_filter_lines.cuh"
#include "fft_filter_padded.h"
#include "fft_filter_padded_plane.h"
#include "lines_spectra.h"

namespace freqops::cuda {

// Pairs hold the numbers of their planes, which start at different places in x and in y.
struct PaddedLinesArguments : LinesArguments {
  Corner in, out;

  FREQOPS_HOST_DEVICE PlaneStrides strides() const { return {1, pixels()}; }
  FREQOPS_HOST_DEVICE Complex<float> load(const PlanePair& pair, int pixel) const {
    const int place = in.pixel(geometry, pixel);
    if (place < 0) return {0, 0};
    return {x.load(pair.first * in.pixels() + place), x.load(pair.second * in.pixels() + place)};
  }
  FREQOPS_HOST_DEVICE void store(const PlanePair& pair, int, int pixel, Complex<float> value) const {
    const int place = out.pixel(geometry, pixel);
    if (place < 0) return;
    y.store(pair.first * out.pixels() + place, value.re);
    if (pair.second != pair.first) y.store(pair.second * out.pixels() + place, value.im);
  }
};

inline FilterShape shape_on_grid(const FilterPadded& problem) {
  return {.images = problem.images,
          .channels = problem.channels,
          .height = problem.grid_height,
          .width = problem.grid_width,
          .responses = 1,
          .complex_response = problem.imag != nullptr,
          .high = false};
}

// Scratch: the table, then what the kernels keep.
template <class Launcher>
class PaddedLinesRun {
 public:
  PaddedLinesRun(const Launcher& launcher, const FilterPadded& problem)
      : launcher_(launcher), problem_(problem), shape_(shape_on_grid(problem)), memory_(problem.work) {
    table_ = memory_.take<float>(lines_table_size(shape_));
    work_ = memory_.take<unsigned char>(lines_work_bytes(launcher, shape_));
  }
  int64_t work_bytes() const { return memory_.bytes(); }

  int run() {
    if (const int error = fill_lines_table(launcher_, shape_, problem_.real, problem_.imag, table_)) return error;
    PaddedLinesArguments arguments{};
    arguments.x = {const_cast<void*>(problem_.x), problem_.element};
    arguments.y = {problem_.y, problem_.element};
    arguments.in = {problem_.height, problem_.width};
    arguments.out = {problem_.out_height, problem_.out_width};
    return run_lines(launcher_, shape_, table_, work_, arguments);
  }

 private:
  const Launcher& launcher_;
  const FilterPadded& problem_;
  FilterShape shape_;
  WorkMemory memory_;
  float* table_;
  unsigned char* work_;
};

template <class Launcher>
PaddedForm padded_form(const Launcher& launcher, const FilterPadded& problem) {
  if (suits_plane_form(problem) && padded_plane_takes(launcher, problem.height, problem.grid_height))
    return PaddedForm::kPlane;
  return lines_take(launcher, problem.grid_height, problem.grid_width) ? PaddedForm::kLines : PaddedForm::kNone;
}

template <class Launcher>
int padded_plane_grid(const Launcher& launcher, FilterPadded problem) {
  const int least = std::max(problem.grid_height, problem.grid_width);
  problem.grid_height = problem.grid_width = least;
  int best = 0;
  if (!suits_plane_form(problem)) return best;
  PaddedPlans::for_each_grid(problem.height, [&](int grid) {
    const bool better = grid >= least && (best == 0 || grid < best);
    if (better && padded_plane_takes(launcher, problem.height, grid)) best = grid;
  });
  return best;
}

template <class Io, class Launcher>
int fill_and_run_plane(const Launcher& launcher, const FilterPadded& problem) {
  auto* table = static_cast<Complex<float>*>(problem.work);
  if (const int error = fill_padded_table(launcher, problem, table)) return error;
  return run_padded_plane<Launcher, Io>(launcher, problem, table);
}
template <class Launcher>
int run_plane_of_element(const Launcher& launcher, const FilterPadded& problem) {
  if (!suits_plane_form(problem)) return kInvalid;
  if (problem.element == Element::kFloat) return fill_and_run_plane<float>(launcher, problem);
  if (problem.element == Element::kHalf) return fill_and_run_plane<Half>(launcher, problem);
  return fill_and_run_plane<BFloat16>(launcher, problem);
}

template <class Launcher>
int64_t padded_work_bytes(const Launcher& launcher, PaddedForm form, const FilterPadded& problem) {
  if (form == PaddedForm::kLines) return PaddedLinesRun<Launcher>(launcher, problem).work_bytes();
  if (form == PaddedForm::kPlane && suits_plane_form(problem))
    return padded_table_size(problem) * int64_t{sizeof(Complex<float>)};
  return 0;  // what will be refused
}

template <class Launcher>
int run_padded(const Launcher& launcher, PaddedForm form, const FilterPadded& problem) {
  if (problem.element == Element::kDouble) return kInvalid;
  if (form == PaddedForm::kLines) return PaddedLinesRun<Launcher>(launcher, problem).run();
  if (form == PaddedForm::kPlane) return run_plane_of_element(launcher, problem);
  return kInvalid;
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_FFT_FILTER_PADDED(Launcher)                                                               \
  namespace freqops::cuda {                                                                                      \
  PaddedForm choose_padded_form(const FilterPadded& problem) { return padded_form(Launcher(nullptr), problem); } \
  int choose_padded_grid(const FilterPadded& problem) { return padded_plane_grid(Launcher(nullptr), problem); }  \
  int64_t fft_filter_padded_work_bytes(PaddedForm form, const FilterPadded& problem) {                           \
    return padded_work_bytes(Launcher(nullptr), form, problem);                                                  \
  }                                                                                                              \
  int fft_filter_padded(PaddedForm form, const FilterPadded& problem, void* stream) {                            \
    return run_padded(Launcher(stream), form, problem);                                                          \
  }                                                                                                              \
  }
