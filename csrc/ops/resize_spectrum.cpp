#include "../kernels/resize_spectrum.h"

#include <algorithm>

#include "../kernels/cpu/dispatch.h"
#include "../kernels/resize_spectrum_plan.h"
#include "plan_cache.h"
#include "pool_geometry.h"
#include "tensor_images.h"

namespace freqops {
namespace {

constexpr const char* kName = "resize_spectrum";

// The gains of an axis of n samples that becomes one of m.
const double* checked_gains(const char* argument, const Tensor& gains, int64_t n, int64_t m) {
  const int64_t count = std::min(n, m) / 2 + 1;
  STD_TORCH_CHECK(gains.is_cpu() && gains.scalar_type() == ScalarType::Double && gains.is_contiguous(), kName, ": ",
                  argument, " must be a contiguous float64 tensor on the CPU");
  STD_TORCH_CHECK(gains.dim() == 1 && gains.size(0) == count, kName, ": ", argument, " must hold ", count, " gains");
  return static_cast<const double*>(gains.const_data_ptr());
}

// An axis with everything it points to.
template <class T>
struct Axis {
  std::shared_ptr<const PlannedAxis<T>> in, out;
  std::optional<ResizedAxisTables<T>> tables;

  Axis(int64_t n, int64_t m, const double* gains)
      : in(cached_axis<T>(static_cast<int>(n))), out(cached_axis<T>(static_cast<int>(m))) {
    tables.emplace(in->plan(), out->plan(), gains);
  }
  const ResizedAxis<T>& axis() const { return tables->axis(); }
};

template <class T>
void run(ResizeSpectrum<T> op, const double* row_gains, const double* column_gains, bool two_corner) {
  const Axis<T> w(op.x.width, op.y.width, column_gains);
  op.w = w.axis();
  std::optional<Axis<T>> h;
  if (!op.lines) {
    h.emplace(op.x.height, op.y.height, row_gains);
    op.h = h->axis();
    // A corner of its own only where both axes change, the same way, and have a bin K/2.
    const auto sign = [](int64_t n, int64_t m) { return (n > m) - (n < m); };
    const int rows = sign(op.x.height, op.y.height), columns = sign(op.x.width, op.y.width);
    op.two_corner = two_corner && rows != 0 && rows == columns && op.h.nyquist >= 0 && op.w.nyquist >= 0;
  }
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  run_parallel(kernels.resize_spectrum_items(op), 1, kernels.resize_spectrum_scratch(op),
               [&](int64_t begin, int64_t end, void* scratch) { kernels.resize_spectrum(op, begin, end, scratch); });
}

Tensor resize_spectrum(const Tensor& x, const Tensor& row_gains, const Tensor& column_gains, std::vector<int64_t> size,
                       bool two_corner) {
  const int64_t dims = static_cast<int64_t>(size.size());
  const Shape shape = checked_shape(kName, "x", x, dims);
  const int64_t height = dims == 2 ? size[0] : shape.height, width = size[dims - 1];
  check_pooled_plane(kName, "the output", height, width);
  const double* gains_w = checked_gains("column_gains", column_gains, shape.width, width);
  const double* gains_h = dims == 2 ? checked_gains("row_gains", row_gains, shape.height, height) : nullptr;

  const bool channels_last = is_channels_last(x);
  const Tensor source = in_layout(x, channels_last);
  const bool has_rows_axis = x.dim() >= 2;
  const int64_t out_height = dims == 2 ? height : has_rows_axis ? x.size(x.dim() - 2) : 1;
  const Tensor y = has_rows_axis ? new_planes(x, out_height, width, channels_last) : new_strided(x, {width}, {1});
  if (y.numel() == 0) return y;
  prefer_huge_pages_if_large(y);

  visit_compute_type(x, [&](auto zero) {
    using T = decltype(zero);
    ResizeSpectrum<T> op{};
    op.lines = dims == 1;
    const bool by_lines = op.lines && !channels_last;
    op.x = by_lines ? lines_in_planes(kName, source, shape.width) : pooled_images(kName, source, channels_last);
    op.y = by_lines ? lines_in_planes(kName, y, width) : pooled_images(kName, y, channels_last);
    run<T>(op, gains_h, gains_w, two_corner);
  });
  return y;
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) { m.impl("resize_spectrum", TORCH_BOX(&freqops::resize_spectrum)); }
