#include "../kernels/spectral_correlation.h"

#include <algorithm>
#include <memory>
#include <tuple>

#include "../kernels/cpu/dispatch.h"
#include "plan_cache.h"
#include "tensor_images.h"

namespace freqops {
namespace {

// Enough parts to share out, few enough that their sums stay small; a function of the shape only, so that the result
// does not depend on the number of threads.
int64_t parts_of(int64_t channels, int64_t planes) {
  constexpr int64_t kRuns = 16, kPairsPerRun = 2;
  const int64_t wanted = std::max<int64_t>(1, kRuns / channels);
  return std::max<int64_t>(1, std::min(wanted, planes / (2 * kPairsPerRun)));
}

template <class T>
struct Correlation {
  SpectralCorrelation<T> op{};
  std::shared_ptr<const FilterPlan<T>> plan;
  int64_t height, width;  // of the images
};

// Where the sums of each frequency of the plane are.
template <class T>
std::vector<int32_t> places_of(const Correlation<T>& correlation, int lanes) {
  const FilterPlan<T>& plan = *correlation.plan;
  const int64_t rows = plan.form().height, columns = plan.form().width, width = correlation.width;
  const bool line = plan.form().line;
  std::vector<int32_t> places(correlation.height * width);
  for (int64_t k = 0; k < static_cast<int64_t>(places.size()); ++k) {
    // Four-step transforms hold frequency k = kh' + rows kw'.
    const int64_t row = plan.slot_of_row()[plan.plan_h().position[line ? k % rows : k / width]];
    const int64_t column = plan.plan_w().position[line ? k / rows : k % width];
    places[k] = static_cast<int32_t>((row / lanes * std::max<int64_t>(columns, lanes) + column) * lanes + row % lanes);
  }
  return places;
}

// One channel's sums, put in order of frequency, made Hermitian and weighted.
template <class T>
void write_half(const Correlation<T>& correlation, const std::vector<int32_t>& places, const T* partial,
                size_t elements, T* re, T* im) {
  const auto sum_at = [&](int64_t k) {
    const size_t i = places[k];
    double sum_re = 0, sum_im = 0;
    for (int64_t part = 0; part < correlation.op.parts; ++part) {
      sum_re += partial[2 * part * elements + i];
      sum_im += partial[(2 * part + 1) * elements + i];
    }
    return std::pair<double, double>(sum_re, sum_im);
  };
  const int64_t height = correlation.height, width = correlation.width;
  for (int64_t kh = 0; kh < height; ++kh) {
    const int64_t here = kh * width, mirrored = (kh == 0 ? 0 : height - kh) * width;
    for (int64_t kw = 0; kw <= width / 2; ++kw) {
      const auto [re1, im1] = sum_at(here + kw);
      const auto [re2, im2] = sum_at(mirrored + (kw == 0 ? 0 : width - kw));
      const double weight = (kw == 0 || 2 * kw == width ? 1.0 : 2.0) / static_cast<double>(height * width);
      *re++ = static_cast<T>((re1 + re2) / 2 * weight);
      *im++ = static_cast<T>((im1 - im2) / 2 * weight);
    }
  }
}

template <class T>
void correlate(const Tensor& x, const Tensor& y, const Shape& shape, int64_t dims, bool per_channel, Tensor& re,
               Tensor& im) {
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  Correlation<T> correlation;
  correlation.height = shape.height;
  correlation.width = shape.width;
  SpectralCorrelation<T>& op = correlation.op;
  op.x = *images_of(x, shape, dims);
  op.y = *images_of(y, shape, dims);
  // Planes are always transformed in pairs here; only lines of one row are cut into planes.
  FilterForm form{static_cast<int>(shape.height), static_cast<int>(shape.width), false, false};
  if (shape.height == 1) form = choose_filter_form(1, shape.width, 1, kernels.lanes);
  form.planes_as_lanes = false;
  correlation.plan = cached_filter_plan<T>(form, kernels.lanes);
  for (Images* images : {&op.x, &op.y}) {
    images->height = form.height;
    images->width = form.width;
    if (form.line) images->row_stride = images->column_stride * form.width;
  }
  op.plan_h = &correlation.plan->plan_h();
  op.plan_w = &correlation.plan->plan_w();
  op.per_channel = per_channel;
  const int64_t channels = per_channel ? op.x.channels : 1;
  op.parts = parts_of(channels, op.x.planes() / channels);
  op.slot = correlation.plan->slot_of_row().data();
  op.step_cos = correlation.plan->step_cos();
  op.step_sin = correlation.plan->step_sin();
  const size_t elements = kernels.spectral_correlation_partial_elements(op);
  // Every item clears its own before it adds to it.
  const auto partial = std::make_unique_for_overwrite<T[]>(channels * op.parts * 2 * elements);
  op.partial = partial.get();
  const int64_t items = kernels.spectral_correlation_items(op);
  run_parallel(items, 1, kernels.spectral_correlation_scratch(op), [&](int64_t begin, int64_t end, void* scratch) {
    kernels.spectral_correlation(op, begin, end, scratch);
  });
  const int64_t half = shape.height * (shape.width / 2 + 1);
  T* out_re = static_cast<T*>(re.mutable_data_ptr());
  T* out_im = static_cast<T*>(im.mutable_data_ptr());
  const std::vector<int32_t> places = places_of(correlation, kernels.lanes);
  run_parallel(channels, 1, 64, [&](int64_t begin, int64_t end, void*) {
    for (int64_t c = begin; c < end; ++c) {
      write_half(correlation, places, partial.get() + c * op.parts * 2 * elements, elements, out_re + c * half,
                 out_im + c * half);
    }
  });
}

std::tuple<Tensor, Tensor> spectral_correlation(const Tensor& x, const Tensor& y, int64_t channels, int64_t dims) {
  const char* name = "spectral_correlation";
  const Shape shape = checked_shape(name, "x", x, dims);
  check_same(name, x, y);
  STD_TORCH_CHECK(channels == 0 || (x.dim() > dims && channels == shape.channels), name,
                  ": channels must be 0 or the size of the channel axis");
  std::vector<int64_t> sizes;
  if (channels) sizes.push_back(channels);
  if (dims == 2) sizes.push_back(shape.height);
  sizes.push_back(shape.width / 2 + 1);
  Tensor re = torch::stable::new_zeros(x, sizes, compute_type(x)),
         im = torch::stable::new_zeros(x, sizes, compute_type(x));
  if (x.numel() == 0) return {re, im};
  const Tensor a = readable(x, shape, dims), b = readable(y, shape, dims);
  visit_compute_type(x, [&](auto zero) { correlate<decltype(zero)>(a, b, shape, dims, channels != 0, re, im); });
  return {re, im};
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) {
  m.impl("spectral_correlation", TORCH_BOX(&freqops::spectral_correlation));
}
