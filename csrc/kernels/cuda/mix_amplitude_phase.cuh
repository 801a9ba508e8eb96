// Amplitudes go through a transform two images at a time, as does the way back. Phases go one by
// one: a bin that is zero in one image (a grey image has no colour frequencies) would hold rounding
// noise of its partner after unpacking, and noise has a phase, which would come out at full
// amplitude.
#pragma once

#include <cmath>

#include "lines_spectra.h"
#include "mix_amplitude_phase.h"

namespace freqops::cuda {

struct MixArguments {
  const Complex<float>* amplitude;  // spectra of image pairs, channel by channel
  Complex<float>* phase;            // of single images; the result of a pair takes the place of its first image
  const int *row_mirror, *column_mirror;
  int64_t image_pairs, images;  // of the chunk
  int64_t channels;
  int width, pixels;
  float scale;  // of the inverse transform
};

// One thread mixes the bins at k and -k of both images of a pair, over Depth channels that are
// transformed together. The bin at -k is the conjugate of the one at k by construction, so that both
// results are real.
template <int Depth>
struct MixSpectra {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = MixArguments;
  using Value = Complex<float>;

  static int64_t blocks(const Arguments& arguments) {
    return (arguments.image_pairs * (arguments.channels / Depth) * arguments.pixels + kThreads - 1) / kThreads;
  }

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int64_t i = int64_t{index} * kThreads + thread, planes = arguments.channels / Depth;
      const int64_t plane = i / arguments.pixels, pair = plane / planes;
      if (pair >= arguments.image_pairs) return;
      const int here = static_cast<int>(i - plane * arguments.pixels);
      const int row = here / arguments.width, column = here - row * arguments.width;
      const int there = arguments.row_mirror[row] * arguments.width + arguments.column_mirror[column];
      if (here <= there) mix(arguments, pair, (plane - pair * planes) * Depth, here, there);
    });
  }

 private:
  static FREQOPS_HOST_DEVICE void mix(const Arguments& arguments, int64_t pair, int64_t channel, int here, int there) {
    const bool two = 2 * pair + 1 < arguments.images;
    const int64_t pixels = arguments.pixels;
    const Value* amplitude = arguments.amplitude + (pair * arguments.channels + channel) * pixels;
    Value* first = arguments.phase + (2 * pair * arguments.channels + channel) * pixels;
    const Value* second = first + arguments.channels * pixels;
    Value amplitudes[2][Depth], phases[2][Depth];
    static_for<Depth>([&](auto d) {
      const Value a = amplitude[d * pixels + here], b = amplitude[d * pixels + there];
      amplitudes[0][d] = {0.5f * (a.re + b.re), 0.5f * (a.im - b.im)};
      amplitudes[1][d] = {0.5f * (a.im + b.im), 0.5f * (b.re - a.re)};
      phases[0][d] = real_where_own_mirror(first[d * pixels + here], here == there);
      phases[1][d] = two ? real_where_own_mirror(second[d * pixels + here], here == there) : Value{0, 0};
    });
    combine(amplitudes[0], phases[0], arguments.scale);
    combine(amplitudes[1], phases[1], arguments.scale);
    static_for<Depth>([&](auto d) {
      const Value u = phases[0][d], v = phases[1][d];
      // u + iv and, at -k, conj u + i conj v.
      if (here != there) first[d * pixels + there] = {u.re + v.im, v.re - u.im};
      first[d * pixels + here] = {u.re - v.im, u.im + v.re};
    });
  }

  static FREQOPS_HOST_DEVICE Value real_where_own_mirror(Value value, bool own_mirror) {
    return {value.re, own_mirror ? 0.0f : value.im};
  }
  // phase becomes scale |amplitude| phase / |phase|, over the channels' frequencies.
  static FREQOPS_HOST_DEVICE void combine(Value (&amplitude)[Depth], Value (&phase)[Depth], float scale) {
    Dft<Depth, -1>::run(amplitude);
    Dft<Depth, -1>::run(phase);
    static_for<Depth>([&](auto d) {
      const float size = scale * hypotf(amplitude[d].re, amplitude[d].im);
      const float norm = hypotf(phase[d].re, phase[d].im);
      phase[d] = norm == 0.0f ? Value{size, 0} : Value{size * (phase[d].re / norm), size * (phase[d].im / norm)};
    });
    Dft<Depth, 1>::run(phase);
  }
};

template <class Launcher>
class MixRun {
 public:
  MixRun(const Launcher& launcher, const MixAmplitudePhase& problem)
      : launcher_(launcher), problem_(problem), batch_{problem.images, static_cast<uint32_t>(problem.channels)} {
    const int64_t planes = batch_.planes(), pixels = int64_t{problem.height} * problem.width;
    if (planes > INT_MAX || pixels > INT_MAX || problem.element == Element::kDouble) return;
    if (!plan_geometry(problem.height, problem.width, planes, launcher.largest_shared_bytes(),
                       launcher.multiprocessors(), geometry_)) {
      return;
    }
    chunk_ = image_pairs_per_chunk(batch_, pixels, 3 * problem.channels);
    const LinesTiling& tiling = geometry_.tiling;
    const int64_t slots = 2 * chunk_ * problem.channels;
    valid_ = slots * std::max({1, tiling.rows.groups, tiling.columns.groups}) <= INT_MAX &&
             slots * pixels / kLineThreads < INT_MAX;
    WorkMemory work(problem.work);
    tables_ = work.take<Complex<float>>(line_tables_size(geometry_));
    amplitude_ = work.take<Complex<float>>(slots / 2 * pixels);
    phase_ = work.take<Complex<float>>(slots * pixels);
    row_mirror_ = work.take<int>(problem.height);
    column_mirror_ = work.take<int>(problem.width);
    poisoned_ = work.take<int>(problem.images);
    work_bytes_ = work.bytes();
  }
  bool valid() const { return valid_; }
  int64_t work_bytes() const { return work_bytes_; }

  int run() {
    if (const int error = prepare()) return error;
    for (int64_t first = 0; first < batch_.image_pairs(); first += chunk_) {
      const int64_t pairs = std::min(chunk_, batch_.image_pairs() - first);
      const int64_t images = std::min(2 * pairs, problem_.images - 2 * first);
      const int64_t channels = problem_.channels;
      const auto amplitude = spectra(problem_.amplitude, Slots::kPairs, amplitude_, channels, first, pairs);
      if (const int error = transform_slots<-1>(launcher_, amplitude)) return error;
      const auto phase = spectra(problem_.phase, Slots::kSingles, phase_, channels, 2 * first, images);
      if (const int error = transform_slots<-1>(launcher_, phase)) return error;
      if (const int error = mix(pairs, images)) return error;
      const auto result = spectra(problem_.y, Slots::kPairs, phase_, 2 * channels, first, pairs);
      if (const int error = transform_slots<1>(launcher_, result)) return error;
    }
    return 0;
  }

 private:
  int prepare() {
    if (const int error = fill_line_tables(launcher_, geometry_.columns.plan, geometry_.rows.plan, tables_)) {
      return error;
    }
    set_line_tables(geometry_, tables_);
    if (const int error = fill_mirror(launcher_, geometry_.columns.plan, row_mirror_)) return error;
    if (const int error = fill_mirror(launcher_, geometry_.rows.plan, column_mirror_)) return error;
    return launcher_.fill_zero(poisoned_, problem_.images * int64_t{sizeof(int)});
  }

  // `first` and `count` in groups of as many slots as there are channels.
  SpectraArguments spectra(const void* images, Slots slots, Complex<float>* memory, int64_t stride, int64_t first,
                           int64_t count) const {
    return {.images = {const_cast<void*>(images), problem_.element},
            .batch = batch_,
            .slots = slots,
            .geometry = geometry_,
            .spectra = memory,
            .spectra_stride = stride,
            .first = first * problem_.channels,
            .count = count * problem_.channels,
            .poisoned = poisoned_};
  }

  int mix(int64_t pairs, int64_t images) const {
    const int depth = problem_.over_channels ? static_cast<int>(problem_.channels) : 1;
    const float bins = static_cast<float>(geometry_.pixels()) * static_cast<float>(depth);
    const MixArguments arguments{amplitude_,        phase_,          row_mirror_,        column_mirror_, pairs, images,
                                 problem_.channels, geometry_.width, geometry_.pixels(), 1.0f / bins};
    switch (depth) {
      case 1:
        return start_mix<1>(arguments);
      case 2:
        return start_mix<2>(arguments);
      case 3:
        return start_mix<3>(arguments);
      case 4:
        return start_mix<kMostMixedChannels>(arguments);
      default:
        return kInvalid;
    }
  }
  template <int Depth>
  int start_mix(const MixArguments& arguments) const {
    return launcher_.template run<MixSpectra<Depth>>(MixSpectra<Depth>::blocks(arguments), 0, arguments);
  }

  const Launcher& launcher_;
  const MixAmplitudePhase& problem_;
  PlaneBatch batch_;
  LinesGeometry geometry_;
  int64_t chunk_ = 0, work_bytes_ = 0;
  bool valid_ = false;
  Complex<float>*tables_ = nullptr, *amplitude_ = nullptr, *phase_ = nullptr;
  int *row_mirror_ = nullptr, *column_mirror_ = nullptr, *poisoned_ = nullptr;
};

template <class Launcher>
bool mix_takes(const Launcher& launcher, int64_t channels, bool over_channels, int height, int width) {
  LinesGeometry geometry;
  return (!over_channels || (channels >= 1 && channels <= kMostMixedChannels)) &&
         plan_geometry(height, width, 1, launcher.largest_shared_bytes(), launcher.multiprocessors(), geometry);
}

template <class Launcher>
int run_mix(const Launcher& launcher, const MixAmplitudePhase& problem) {
  if (problem.over_channels && problem.channels > kMostMixedChannels) return kInvalid;
  MixRun<Launcher> mix(launcher, problem);
  if (!mix.valid()) return kInvalid;
  return mix.run();
}

}  // namespace freqops::cuda

// Defines the entry points for one launcher: once in the CUDA library, once in the host replay.
#define FREQOPS_DEFINE_MIX_AMPLITUDE_PHASE(Launcher)                                            \
  namespace freqops::cuda {                                                                     \
  bool mix_amplitude_phase_takes(int64_t channels, bool over_channels, int height, int width) { \
    return mix_takes(Launcher(nullptr), channels, over_channels, height, width);                \
  }                                                                                             \
  int64_t mix_amplitude_phase_work_bytes(const MixAmplitudePhase& problem) {                    \
    const Launcher launcher(nullptr);                                                           \
    return MixRun<Launcher>(launcher, problem).work_bytes();                                    \
  }                                                                                             \
  int mix_amplitude_phase(const MixAmplitudePhase& problem, void* stream) {                     \
    return run_mix(Launcher(stream), problem);                                                  \
  }                                                                                             \
  }
