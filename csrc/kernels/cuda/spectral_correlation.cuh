// Two images go through a transform together, Z = X1 + i X2 and Q = G1 + i G2. Nothing has to be
// unpacked for each of them: the sum P of conj(Z) Q over all pairs has the wanted sum S as the part
// that is Hermitian, S[k] = (P[k] + conj P[-k]) / 2, because the rest, i times the transform of a
// real image, is anti-Hermitian.
#pragma once

#include "lines_spectra.h"
#include "spectral_correlation.h"

namespace freqops::cuda {

struct CorrelationArguments {
  const Complex<float>*x, *g;  // spectra of the chunk, image pair by image pair
  Complex<float>* sums;        // [slices, channels, pixels]
  int64_t image_pairs, channels;
  int pixels, slices;
};

// Adds a chunk to the sums. Slice s takes every slices-th pair, so that there are enough threads.
struct AccumulateCorrelation {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = CorrelationArguments;
  static int64_t blocks(const Arguments& arguments) {
    return (arguments.slices * arguments.channels * arguments.pixels + kThreads - 1) / kThreads;
  }
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t i = int64_t{index} * kThreads + thread, planes = arguments.channels * arguments.pixels;
      const int64_t slice = i / planes, place = i - slice * planes;
      if (slice >= arguments.slices) return;
      Complex<float> sum = arguments.sums[i];
      for (int64_t pair = slice; pair < arguments.image_pairs; pair += arguments.slices) {
        sum = sum + multiply_conj(arguments.g[pair * planes + place], arguments.x[pair * planes + place]);
      }
      arguments.sums[i] = sum;
    });
  }
};

// Adds up the slices, takes the Hermitian part and leaves position order.
struct FinishCorrelation {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    const Complex<float>* sums;
    AxisOrder rows, columns;  // of positions in a column and in a row
    float *real, *imag;
    int64_t channels;
    int slices;
    FREQOPS_HOST_DEVICE int half() const { return columns.length / 2 + 1; }
    FREQOPS_HOST_DEVICE int64_t entries() const { return channels * rows.length * half(); }
    FREQOPS_HOST_DEVICE Complex<float> sum(int64_t channel, int kh, int kw) const {
      const int64_t pixels = int64_t{rows.length} * columns.length;
      const int64_t place = channel * pixels + int64_t{rows.position(kh)} * columns.length + columns.position(kw);
      Complex<float> total{0, 0};
      for (int s = 0; s < slices; ++s) total = total + sums[s * channels * pixels + place];
      return total;
    }
  };
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t i = int64_t{index} * kThreads + thread;
      if (i < arguments.entries()) finish(arguments, i);
    });
  }

 private:
  static FREQOPS_HOST_DEVICE void finish(const Arguments& arguments, int64_t i) {
    const int h = arguments.rows.length, w = arguments.columns.length, half = arguments.half();
    const int64_t row = i / half, channel = row / h;
    const int kw = static_cast<int>(i - row * half), kh = static_cast<int>(row - channel * h);
    const int kw_mirrored = kw == 0 ? 0 : w - kw;
    const Complex<float> here = arguments.sum(channel, kh, kw);
    const Complex<float> there = arguments.sum(channel, kh == 0 ? 0 : h - kh, kw_mirrored);
    // A bin of the half spectrum stands for two, except in the columns that are their own mirror
    // image; another half comes from the Hermitian part.
    const float pixels = static_cast<float>(h) * static_cast<float>(w);
    const float weight = (kw == kw_mirrored ? 0.5f : 1.0f) / pixels;
    arguments.real[i] = (here.re + there.re) * weight;
    arguments.imag[i] = (here.im - there.im) * weight;
  }
};

template <class Launcher>
class CorrelationRun {
 public:
  CorrelationRun(const Launcher& launcher, const SpectralCorrelation& problem)
      : launcher_(launcher), problem_(problem), batch_{problem.images, static_cast<uint32_t>(problem.channels)} {
    const int64_t pairs = batch_.pairs(), pixels = int64_t{problem.height} * problem.width;
    if (pairs > INT_MAX || pixels > INT_MAX || problem.element == Element::kDouble) return;
    if (!plan_geometry(problem.height, problem.width, pairs, launcher.largest_shared_bytes(),
                       launcher.multiprocessors(), geometry_)) {
      return;
    }
    chunk_ = image_pairs_per_chunk(batch_, pixels, 2 * problem.channels);
    constexpr int64_t kThreadsPerSm = 2048;
    const int64_t wanted = kThreadsPerSm * launcher.multiprocessors() / (problem.channels * pixels);
    slices_ = static_cast<int>(std::clamp<int64_t>(wanted, 1, std::min<int64_t>(chunk_, 64)));
    const LinesTiling& tiling = geometry_.tiling;
    const int64_t slots = chunk_ * problem.channels;
    valid_ = slots * std::max({1, tiling.rows.groups, tiling.columns.groups}) <= INT_MAX;
    WorkMemory work(problem.work);
    tables_ = work.take<Complex<float>>(line_tables_size(geometry_));
    x_ = work.take<Complex<float>>(slots * pixels);
    g_ = work.take<Complex<float>>(slots * pixels);
    sums_ = work.take<Complex<float>>(sums_size());
    work_bytes_ = work.bytes();
  }
  bool valid() const { return valid_; }
  int64_t work_bytes() const { return work_bytes_; }

  int run() {
    if (const int error = fill_line_tables(launcher_, geometry_.columns.plan, geometry_.rows.plan, tables_)) {
      return error;
    }
    set_line_tables(geometry_, tables_);
    if (const int error = launcher_.fill_zero(sums_, sums_size() * int64_t{sizeof(Complex<float>)})) return error;
    for (int64_t first = 0; first < batch_.image_pairs(); first += chunk_) {
      const int64_t pairs = std::min(chunk_, batch_.image_pairs() - first);
      if (const int error = transform(problem_.x, {problem_.x_height, problem_.x_width}, first, pairs, x_))
        return error;
      if (const int error = transform(problem_.g, {problem_.g_height, problem_.g_width}, first, pairs, g_))
        return error;
      const CorrelationArguments arguments{x_, g_, sums_, pairs, problem_.channels, geometry_.pixels(), slices_};
      if (const int error =
              launcher_.template run<AccumulateCorrelation>(AccumulateCorrelation::blocks(arguments), 0, arguments)) {
        return error;
      }
    }
    return finish();
  }

 private:
  int64_t sums_size() const { return slices_ * problem_.channels * int64_t{geometry_.pixels()}; }

  int transform(const void* images, const Corner& size, int64_t first_pair, int64_t pairs, Complex<float>* spectra) {
    const int64_t channels = problem_.channels;
    const bool padded = size.height != geometry_.height || size.width != geometry_.width;
    return transform_slots<-1>(launcher_, SpectraArguments{.images = {const_cast<void*>(images), problem_.element},
                                                           .batch = batch_,
                                                           .slots = Slots::kPairs,
                                                           .geometry = geometry_,
                                                           .spectra = spectra,
                                                           .spectra_stride = channels,
                                                           .first = first_pair * channels,
                                                           .count = pairs * channels,
                                                           .poisoned = nullptr,
                                                           .corner = padded ? size : Corner{}});
  }
  int finish() {
    const FinishCorrelation::Arguments arguments{sums_,
                                                 geometry_.columns.plan.order(),
                                                 geometry_.rows.plan.order(),
                                                 problem_.real,
                                                 problem_.imag,
                                                 problem_.channels,
                                                 slices_};
    const int64_t blocks = (arguments.entries() + kLineThreads - 1) / kLineThreads;
    return launcher_.template run<FinishCorrelation>(blocks, 0, arguments);
  }

  const Launcher& launcher_;
  const SpectralCorrelation& problem_;
  PlaneBatch batch_;
  LinesGeometry geometry_;
  int64_t chunk_ = 0, work_bytes_ = 0;
  int slices_ = 1;
  bool valid_ = false;
  Complex<float>*tables_ = nullptr, *x_ = nullptr, *g_ = nullptr, *sums_ = nullptr;
};

template <class Launcher>
bool correlation_takes(const Launcher& launcher, int height, int width) {
  LinesGeometry geometry;
  return plan_geometry(height, width, 1, launcher.largest_shared_bytes(), launcher.multiprocessors(), geometry);
}

template <class Launcher>
int run_correlation(const Launcher& launcher, const SpectralCorrelation& problem) {
  CorrelationRun<Launcher> correlation(launcher, problem);
  if (!correlation.valid()) return kInvalid;
  return correlation.run();
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_SPECTRAL_CORRELATION(Launcher)                           \
  namespace freqops::cuda {                                                     \
  bool spectral_correlation_takes(int height, int width) {                      \
    return correlation_takes(Launcher(nullptr), height, width);                 \
  }                                                                             \
  int64_t spectral_correlation_work_bytes(const SpectralCorrelation& problem) { \
    const Launcher launcher(nullptr);                                           \
    return CorrelationRun<Launcher>(launcher, problem).work_bytes();            \
  }                                                                             \
  int spectral_correlation(const SpectralCorrelation& problem, void* stream) {  \
    return run_correlation(Launcher(stream), problem);                          \
  }                                                                             \
  }
