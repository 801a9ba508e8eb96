// Two planes go through a transform together, X = X1 + i X2: the map is real, so they never need to be told apart. The
// spectra of a chunk of pairs stay in the L2 cache; between the two transforms each bin of the result is fetched.
#pragma once

#include "lines_spectra.h"
#include "resize_spectrum.h"

namespace freqops::cuda {

// One axis: which bins of n samples stand behind a bin of m, and with what gain.
struct ResizedAxis {
  AxisOrder in, out;
  const double* gain;

  // Positions of K and -K for the bin K/2 of a longer input, else twice the same one.
  struct Source {
    int position[2];
    float gain;   // 0: nothing
    int nyquist;  // +1 or -1: the bin stands for frequency K/2 or -K/2, 0: for another
    bool both;    // whether two positions are summed
  };
  FREQOPS_HOST_DEVICE Source source(int position) const {
    const int n = in.length, m = out.length, kept = n < m ? n : m;
    const int frequency = out.frequency(position);
    const bool negative = 2 * frequency > m;
    const int k = negative ? m - frequency : frequency;  // of m samples, m / 2 counts as positive
    if (2 * k > kept) return {{0, 0}, 0.0f, 0, false};
    const int plus = in.position(k), minus = in.position(k == 0 ? 0 : n - k);
    const bool last = 2 * k == kept && n != m;
    const bool both = last && m < n;
    return {{negative && !both ? minus : plus, minus},
            static_cast<float>(gain[k]),
            !last      ? 0
            : negative ? -1
                       : 1,
            both};
  }
};

struct FetchArguments {
  const Complex<float>* from;
  Complex<float>* to;
  ResizedAxis rows, columns;
  int64_t slots;
  bool two_corner;  // only where both axes are cut, or both padded, and have their bin K/2

  FREQOPS_HOST_DEVICE int64_t in_pixels() const { return int64_t{rows.in.length} * columns.in.length; }
  FREQOPS_HOST_DEVICE int64_t out_pixels() const { return int64_t{rows.out.length} * columns.out.length; }
};

// A thread has a bin of the result in all slots, as far as they go round: what it knows of the bin serves all of them.
struct FetchBins {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 3, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = FetchArguments;
  static constexpr int kSlotsTogether = 8;

  static int64_t blocks(const Arguments& arguments) {
    return blocks_per_run(arguments) * ((arguments.slots + kSlotsTogether - 1) / kSlotsTogether);
  }
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t run = index / blocks_per_run(arguments), block = index - run * blocks_per_run(arguments);
      const int64_t bin = block * kThreads + thread;
      if (bin < arguments.out_pixels()) fetch(arguments, bin, run * kSlotsTogether);
    });
  }

 private:
  static FREQOPS_HOST_DEVICE int64_t blocks_per_run(const Arguments& arguments) {
    return (arguments.out_pixels() + kThreads - 1) / kThreads;
  }
  static FREQOPS_HOST_DEVICE void fetch(const Arguments& arguments, int64_t bin, int64_t first) {
    const int width = arguments.columns.out.length;
    const int row = static_cast<int>(bin / width), column = static_cast<int>(bin - int64_t{row} * width);
    const auto h = arguments.rows.source(row), w = arguments.columns.source(column);
    const bool corner = arguments.two_corner && h.nyquist != 0 && w.nyquist != 0;
    // Of the four bins at a corner only the two on a diagonal, twice; padded, those that lie on it.
    const bool dropped = corner && !h.both && h.nyquist != w.nyquist;
    const float gain = dropped ? 0.0f : (corner ? 2.0f : 1.0f) * h.gain * w.gain;
    const int64_t last = first + kSlotsTogether < arguments.slots ? first + kSlotsTogether : arguments.slots;
    for (int64_t slot = first; slot < last; ++slot) {
      const Complex<float>* plane = arguments.from + slot * arguments.in_pixels();
      const auto at = [&](int i, int j) {
        return plane[int64_t{h.position[i]} * arguments.columns.in.length + w.position[j]];
      };
      Complex<float> sum{0, 0};
      if (gain != 0.0f) {
        sum = at(0, 0);
        if (corner && h.both) {
          sum = sum + at(1, 1);
        } else {
          if (h.both) sum = sum + at(1, 0);
          if (w.both) sum = sum + at(0, 1);
          if (h.both && w.both) sum = sum + at(1, 1);
        }
      }
      arguments.to[slot * arguments.out_pixels() + bin] = {gain * sum.re, gain * sum.im};
    }
  }
};

template <class Launcher>
class ResizeRun {
 public:
  ResizeRun(const Launcher& launcher, const ResizeSpectrum& problem)
      : launcher_(launcher), problem_(problem), batch_{problem.planes, 1} {
    const int64_t in_pixels = int64_t{problem.height} * problem.width;
    const int64_t out_pixels = int64_t{problem.out_height} * problem.out_width;
    if (problem.planes > INT_MAX || problem.element == Element::kDouble) return;
    if (!plan(problem.height, problem.width, in_) || !plan(problem.out_height, problem.out_width, out_)) return;
    chunk_ = image_pairs_per_chunk(batch_, in_pixels + out_pixels, 1);
    int most_groups = 1;
    for (const LinesGeometry* geometry : {&in_, &out_}) {
      most_groups = std::max({most_groups, geometry->tiling.rows.groups, geometry->tiling.columns.groups});
    }
    const int64_t fetching = out_pixels / kLineThreads + 1;
    valid_ = chunk_ * std::max<int64_t>(most_groups, fetching) <= INT_MAX;
    WorkMemory work(problem.work);
    in_tables_ = work.take<Complex<float>>(line_tables_size(in_));
    out_tables_ = work.take<Complex<float>>(line_tables_size(out_));
    in_spectra_ = work.take<Complex<float>>(chunk_ * in_pixels);
    out_spectra_ = work.take<Complex<float>>(chunk_ * out_pixels);
    poisoned_ = work.take<int>(problem.planes);
    work_bytes_ = work.bytes();
  }
  bool valid() const { return valid_; }
  int64_t work_bytes() const { return work_bytes_; }

  int run() {
    if (const int error = prepare()) return error;
    for (int64_t first = 0; first < batch_.image_pairs(); first += chunk_) {
      const int64_t pairs = std::min(chunk_, batch_.image_pairs() - first);
      const auto from = spectra(problem_.x, in_, in_spectra_, first, pairs);
      if (const int error = transform_slots<-1>(launcher_, from)) return error;
      const FetchArguments arguments = fetching(pairs);
      if (const int error = launcher_.template run<FetchBins>(FetchBins::blocks(arguments), 0, arguments)) return error;
      const auto to = spectra(problem_.y, out_, out_spectra_, first, pairs);
      if (const int error = transform_slots<1>(launcher_, to)) return error;
    }
    return 0;
  }

 private:
  bool plan(int height, int width, LinesGeometry& geometry) const {
    return plan_geometry(height, width, batch_.pairs(), launcher_.largest_shared_bytes(), launcher_.multiprocessors(),
                         geometry);
  }
  int prepare() {
    for (auto [geometry, tables] : {std::pair{&in_, in_tables_}, std::pair{&out_, out_tables_}}) {
      if (const int error = fill_line_tables(launcher_, geometry->columns.plan, geometry->rows.plan, tables)) {
        return error;
      }
      set_line_tables(*geometry, tables);
    }
    return launcher_.fill_zero(poisoned_, problem_.planes * int64_t{sizeof(int)});
  }
  SpectraArguments spectra(const void* images, const LinesGeometry& geometry, Complex<float>* memory, int64_t first,
                           int64_t count) const {
    return {.images = {const_cast<void*>(images), problem_.element},
            .batch = batch_,
            .slots = Slots::kPairs,
            .geometry = geometry,
            .spectra = memory,
            .spectra_stride = 1,
            .first = first,
            .count = count,
            .poisoned = poisoned_};
  }
  FetchArguments fetching(int64_t pairs) const {
    const auto sign = [](int n, int m) { return (n > m) - (n < m); };
    const int rows = sign(problem_.height, problem_.out_height), columns = sign(problem_.width, problem_.out_width);
    return {.from = in_spectra_,
            .to = out_spectra_,
            .rows = {in_.columns.plan.order(), out_.columns.plan.order(), problem_.row_gains},
            .columns = {in_.rows.plan.order(), out_.rows.plan.order(), problem_.column_gains},
            .slots = pairs,
            .two_corner = problem_.two_corner && rows != 0 && rows == columns};
  }

  const Launcher& launcher_;
  const ResizeSpectrum& problem_;
  PlaneBatch batch_;
  LinesGeometry in_, out_;
  int64_t chunk_ = 0, work_bytes_ = 0;
  bool valid_ = false;
  Complex<float>*in_tables_ = nullptr, *out_tables_ = nullptr, *in_spectra_ = nullptr, *out_spectra_ = nullptr;
  int* poisoned_ = nullptr;
};

template <class Launcher>
bool resize_takes(const Launcher& launcher, int height, int width, int out_height, int out_width) {
  LinesGeometry geometry;
  const auto fits = [&](int h, int w) {
    return plan_geometry(h, w, 1, launcher.largest_shared_bytes(), launcher.multiprocessors(), geometry);
  };
  return fits(height, width) && fits(out_height, out_width);
}

template <class Launcher>
int run_resize(const Launcher& launcher, const ResizeSpectrum& problem) {
  ResizeRun<Launcher> resize(launcher, problem);
  if (!resize.valid()) return kInvalid;
  return resize.run();
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_RESIZE_SPECTRUM(Launcher)                                                                     \
  namespace freqops::cuda {                                                                                          \
  bool resize_spectrum_takes(int height, int width, int out_height, int out_width) {                                 \
    return resize_takes(Launcher(nullptr), height, width, out_height, out_width);                                    \
  }                                                                                                                  \
  int64_t resize_spectrum_work_bytes(const ResizeSpectrum& problem) {                                                \
    const Launcher launcher(nullptr);                                                                                \
    return ResizeRun<Launcher>(launcher, problem).work_bytes();                                                      \
  }                                                                                                                  \
  int resize_spectrum(const ResizeSpectrum& problem, void* stream) { return run_resize(Launcher(stream), problem); } \
  }
