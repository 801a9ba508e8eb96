#include "../mix_amplitude_phase.h"

#include <cmath>
#include <limits>

#include "dispatch.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

// |a| exp(i angle(b)), with angle(0) = 0. Squares are taken in double so that small float32 bins do not vanish.
template <class T>
Complex<double> mix(Complex<double> a, Complex<double> b) {
  const double amplitude = std::sqrt(a.re * a.re + a.im * a.im);
  const double norm = std::sqrt(b.re * b.re + b.im * b.im);
  if (norm == 0) return {amplitude, 0};
  return {amplitude * (b.re / norm), amplitude * (b.im / norm)};
}

// Works on two images at a time, packed as one complex image: image n and n + 1 of the batch.
template <class T>
class Mixer {
 public:
  Mixer(const MixAmplitudePhase<T>& op, void* scratch) : op_(op), arena_(scratch) {
    work_ = take_workspace(arena_, *op.plan_h, *op.plan_w, op.plan_h->length);
    depth_ = op.plan_c ? op.plan_c->length : 1;
    elements_ = spectrum_elements<T>(op.plan_h->length, op.plan_w->length);
    amplitude_ = arena_.take_lines(elements_ * depth_, kLanes<T>);
    phase_ = arena_.take_lines(elements_ * depth_, kLanes<T>);
    stride_ = staged_stride<T>(op.plan_w->length);
    for (T*& plane : planes_) plane = arena_.take(size_t(op.plan_h->length) * stride_);
    if (op.plan_c) {
      depth_line_.lines = arena_.take_lines(size_t(depth_) * kLanes<T>, kLanes<T>);
      depth_line_.generic = arena_.take(generic_scratch_elements<T>(op.plan_c->generic));
    }
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  // Images that are transformed as one: whole ones with over_channels, else single planes.
  static int64_t images(const MixAmplitudePhase<T>& op) { return op.plan_c ? op.out.batch : op.out.planes(); }
  static int64_t items(const MixAmplitudePhase<T>& op) { return (images(op) + 1) / 2; }

  void run_item(int64_t item) {
    const int64_t first = 2 * item;
    const int64_t second = first + 1 < images(op_) ? first + 1 : first;
    const bool clean =
        transform(op_.amplitude, first, second, amplitude_) & transform(op_.phase, first, second, phase_);
    if (clean && mix_spectra(first != second)) {
      finish(first, second);
      return;
    }
    // A value that is not finite, or a bin that only the partner has, must not reach an image: each by itself.
    const int64_t images[2] = {first, second};
    for (int i = 0; i < (first == second ? 1 : 2); ++i) {
      transform(op_.amplitude, images[i], images[i], amplitude_);
      transform(op_.phase, images[i], images[i], phase_);
      mix_spectra(false);
      finish(images[i], images[i]);
    }
  }

 private:
  int64_t batch_of(int64_t image) const { return op_.plan_c ? image : image / op_.out.channels; }
  int64_t channel_of(int64_t image, int d) const { return op_.plan_c ? d : image % op_.out.channels; }
  Lines<T> at_depth(Lines<T> x, int d) const { return {x.re + d * elements_, x.im + d * elements_, x.stride}; }

  // False where an image is not finite: its DC bin shows it.
  bool transform(const Images& images, int64_t first, int64_t second, Lines<T> spectrum) {
    T sum_re = 0, sum_im = 0;
    for (int d = 0; d < depth_; ++d) {
      const int64_t pair[2] = {first, second};
      for (int i = 0; i < 2; ++i) {
        gather_plane(images, batch_of(pair[i]), channel_of(pair[i], d), planes_[i], stride_);
      }
      const Lines<T> plane = at_depth(spectrum, d);
      forward_pair(*op_.plan_h, *op_.plan_w, planes_[0], planes_[1], stride_, keep_all(*op_.plan_h), {nullptr, nullptr},
                   work_, plane);
      sum_re += plane.re[0] * 0;
      sum_im += plane.im[0] * 0;
    }
    transform_depth(spectrum, false);
    return sum_re == 0 && sum_im == 0;
  }

  void transform_depth(Lines<T> spectrum, bool inverse_direction) {
    if (!op_.plan_c) return;
    for (size_t e = 0; e < elements_; e += kLanes<T>) {
      const Lines<T> line{spectrum.re + e, spectrum.im + e, static_cast<ptrdiff_t>(elements_)};
      if (inverse_direction) {
        inverse(*op_.plan_c, line, line, keep_all(*op_.plan_c), depth_line_, 1, false);
      } else {
        forward(*op_.plan_c, line, line, keep_all(*op_.plan_c), depth_line_, 1, false);
      }
    }
  }

  void finish(int64_t first, int64_t second) {
    transform_depth(amplitude_, true);
    const int64_t pair[2] = {first, second};
    for (int d = 0; d < depth_; ++d) {
      inverse_pair(*op_.plan_h, *op_.plan_w, at_depth(amplitude_, d), planes_[0], planes_[1], stride_, work_);
      for (int i = 0; i < 2; ++i) {
        const int64_t offset = op_.out.offset(batch_of(pair[i]), channel_of(pair[i], d));
        scatter_plane(op_.out, offset, planes_[i], stride_);
      }
    }
  }

  size_t place(int d, int row, int column) const {
    const size_t block = row / kLanes<T>, lane = row % kLanes<T>;
    const size_t width = std::max(op_.plan_w->length, kLanes<T>);
    return d * elements_ + (block * width + column) * kLanes<T> + lane;
  }
  static int mirrored(const AxisPlan<T>& plan, int position) {
    const int k = plan.frequency[position];
    return plan.position[k == 0 ? 0 : plan.length - k];
  }

  // Calls visit(here, there) for every bin and its mirror image, each couple once.
  template <class Visit>
  void for_each_bin(Visit&& visit) const {
    for (int d = 0; d < depth_; ++d) {
      const int mirror_d = op_.plan_c ? mirrored(*op_.plan_c, d) : 0;
      for (int row = 0; row < op_.plan_h->length; ++row) {
        const int mirror_row = mirrored(*op_.plan_h, row);
        for (int column = 0; column < op_.plan_w->length; ++column) {
          const size_t here = place(d, row, column);
          const size_t there = place(mirror_d, mirror_row, mirrored(*op_.plan_w, column));
          if (here <= there) visit(here, there);
        }
      }
    }
  }

  // A bin that is exactly zero in one image (a grey image has no colour frequencies) holds rounding noise of its
  // partner after unpacking, and noise has a phase: the bin would come out at full amplitude in a random direction. False where
  // a phase is as small as that noise.
  bool mix_spectra(bool packed) {
    const double bins = double(op_.plan_h->length) * op_.plan_w->length * depth_;
    double energy = 0;
    for_each_bin([&](size_t here, size_t there) {
      energy += double(phase_.re[here]) * phase_.re[here] + double(phase_.im[here]) * phase_.im[here];
      if (here == there) return;
      energy += double(phase_.re[there]) * phase_.re[there] + double(phase_.im[there]) * phase_.im[there];
    });
    constexpr double kNoise = 16 * std::numeric_limits<T>::epsilon();
    const double noise_squared = kNoise * kNoise * energy / bins;
    bool clear = true;
    for_each_bin([&](size_t here, size_t there) { clear &= mix_bins(here, there, 1 / bins) > noise_squared; });
    return clear || !packed;
  }

  // Returns the square of the smaller phase bin.
  double mix_bins(size_t here, size_t there, double scale) {
    Complex<double> a[2], b[2];
    unpack(amplitude_, here, there, a);
    unpack(phase_, here, there, b);
    const Complex<double> y0 = mix<T>(a[0], b[0]), y1 = mix<T>(a[1], b[1]);
    amplitude_.re[here] = static_cast<T>((y0.re - y1.im) * scale);
    amplitude_.im[here] = static_cast<T>((y0.im + y1.re) * scale);
    amplitude_.re[there] = static_cast<T>((y0.re + y1.im) * scale);
    amplitude_.im[there] = static_cast<T>((y1.re - y0.im) * scale);
    return std::min(b[0].re * b[0].re + b[0].im * b[0].im, b[1].re * b[1].re + b[1].im * b[1].im);
  }

  // The spectra of the two real images behind z = x0 + i x1: (P + Q) / 2 and (P - Q) / 2i with Q = conj Z(-k).
  static void unpack(Lines<T> z, size_t here, size_t there, Complex<double> (&x)[2]) {
    const Complex<double> p{z.re[here], z.im[here]}, q{z.re[there], -z.im[there]};
    x[0] = {(p.re + q.re) / 2, (p.im + q.im) / 2};
    x[1] = {(p.im - q.im) / 2, (q.re - p.re) / 2};
  }

  const MixAmplitudePhase<T>& op_;
  Arena<T> arena_;
  PairWorkspace<T> work_;
  int depth_;
  size_t elements_;
  Lines<T> amplitude_, phase_;
  ptrdiff_t stride_;
  T* planes_[2];
  AxisScratch<T> depth_line_{};
};

template <class T>
void run(const MixAmplitudePhase<T>& op, int64_t begin, int64_t end, void* scratch) {
  Mixer<T> mixer(op, scratch);
  for (int64_t item = begin; item < end; ++item) mixer.run_item(item);
}

}  // namespace

template <class T>
void fill_mix_amplitude_phase(Kernels<T>& kernels) {
  kernels.mix_amplitude_phase_scratch = [](const MixAmplitudePhase<T>& op) {
    return Mixer<T>(op, nullptr).scratch_bytes();
  };
  kernels.mix_amplitude_phase_items = Mixer<T>::items;
  kernels.mix_amplitude_phase = run<T>;
}
template void fill_mix_amplitude_phase<float>(Kernels<float>&);
template void fill_mix_amplitude_phase<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
