#include "../spectral_correlation.h"

#include "dispatch.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

template <class T>
class Correlator {
 public:
  Correlator(const SpectralCorrelation<T>& op, void* scratch) : op_(op), arena_(scratch) {
    work_ = take_workspace(arena_, *op.plan_h, *op.plan_w, op.plan_h->length);
    elements_ = elements(op);
    x_ = arena_.take_lines(elements_, kLanes<T>);
    y_ = arena_.take_lines(elements_, kLanes<T>);
    stride_ = staged_stride<T>(op.plan_w->length);
    for (T*& plane : planes_) plane = arena_.take(size_t(op.plan_h->length) * stride_);
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  static size_t elements(const SpectralCorrelation<T>& op) {
    return spectrum_elements<T>(op.plan_h->length, op.plan_w->length);
  }

  // One run of planes of one channel (or of all channels together), summed into its place in `partial`.
  void run_item(int64_t item) {
    const int64_t part = item % op_.parts;
    const int64_t channel = op_.per_channel ? item / op_.parts : 0;
    const int64_t planes = op_.per_channel ? op_.x.batch : op_.x.planes();
    T* sum_re = op_.partial + item * 2 * elements_;
    T* sum_im = sum_re + elements_;
    std::fill(sum_re, sum_re + 2 * elements_, T{0});
    const int64_t pairs = (planes + 1) / 2;
    for (int64_t pair = pairs * part / op_.parts; pair < pairs * (part + 1) / op_.parts; ++pair) {
      transform(op_.x, channel, 2 * pair, planes, x_);
      transform(op_.y, channel, 2 * pair, planes, y_);
      for (size_t e = 0; e < elements_; ++e) {
        sum_re[e] += x_.re[e] * y_.re[e] + x_.im[e] * y_.im[e];
        sum_im[e] += x_.re[e] * y_.im[e] - x_.im[e] * y_.re[e];
      }
    }
  }

 private:
  void transform(const Images& images, int64_t channel, int64_t first, int64_t planes, Lines<T> spectrum) {
    const T* plane[2];
    for (int i = 0; i < 2; ++i) plane[i] = load_plane(images, channel, first + i, planes, planes_[i]);
    forward_pair(*op_.plan_h, *op_.plan_w, plane[0], plane[1], stride_, {op_.slot, op_.plan_h->last_radix()},
                 {op_.step_cos, op_.step_sin}, work_, spectrum);
  }

  const T* load_plane(const Images& images, int64_t channel, int64_t plane, int64_t planes, T* staging) {
    if (plane >= planes) {  // the partner of a last odd plane: nothing
      std::fill(staging, staging + size_t(op_.plan_h->length) * stride_, T{0});
      return staging;
    }
    const int64_t n = op_.per_channel ? plane : plane / images.channels;
    const int64_t c = op_.per_channel ? channel : plane % images.channels;
    if (is_direct<T>(images)) return static_cast<const T*>(images.data) + images.offset(n, c);
    gather_plane(images, n, c, staging, stride_);
    return staging;
  }

  const SpectralCorrelation<T>& op_;
  Arena<T> arena_;
  PairWorkspace<T> work_;
  size_t elements_;
  Lines<T> x_, y_;
  ptrdiff_t stride_;
  T* planes_[2];
};

template <class T>
void run(const SpectralCorrelation<T>& op, int64_t begin, int64_t end, void* scratch) {
  Correlator<T> correlator(op, scratch);
  for (int64_t item = begin; item < end; ++item) correlator.run_item(item);
}

}  // namespace

template <class T>
void fill_spectral_correlation(Kernels<T>& kernels) {
  kernels.spectral_correlation_scratch = [](const SpectralCorrelation<T>& op) {
    return Correlator<T>(op, nullptr).scratch_bytes();
  };
  kernels.spectral_correlation_partial_elements = Correlator<T>::elements;
  kernels.spectral_correlation_items = [](const SpectralCorrelation<T>& op) {
    return op.parts * (op.per_channel ? op.x.channels : 1);
  };
  kernels.spectral_correlation = run<T>;
}
template void fill_spectral_correlation<float>(Kernels<float>&);
template void fill_spectral_correlation<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
