#include "../kernels/polyphase_pool.h"

#include "../kernels/cpu/dispatch.h"
#include "pool_geometry.h"
#include "tensor_images.h"

namespace freqops {
namespace {

void check_images(const char* op, const char* argument, const Tensor& x) {
  STD_TORCH_CHECK(x.is_cpu(), op, ": ", argument, " must be a CPU tensor");
  check_pooled(op, argument, x);
  STD_TORCH_CHECK(x.dim() >= 3, op, ": ", argument, " must be [..., C, H, W], got ", x.dim(), " dimensions");
}

PolyphaseNorm norm_of(const char* op, const std::string& name) {
  if (name == "l2") return PolyphaseNorm::kSquares;
  if (name == "l1") return PolyphaseNorm::kMagnitudes;
  if (name == "linf") return PolyphaseNorm::kLargestMagnitude;
  STD_TORCH_CHECK(name == "non_abs_max", op, ": norm must be l2, l1, linf or non_abs_max, got ", name);
  return PolyphaseNorm::kLargest;
}

// The larger of two, NaN where either is.
double larger(double a, double b) { return a > b || a != a ? a : b; }

// The index as the kernels read it: a number 0 to 3 for each image.
Tensor checked_index(const char* op, const Tensor& index, const Tensor& x) {
  bool fits = index.is_cpu() && index.scalar_type() == ScalarType::Long && index.dim() == x.dim() - 3;
  for (int64_t i = 0; fits && i < index.dim(); ++i) fits = index.size(i) == x.size(i);
  STD_TORCH_CHECK(fits, op, ": index must be an int64 CPU tensor, one for each image");
  const Tensor dense = as_contiguous(index);
  const auto* values = static_cast<const int64_t*>(dense.const_data_ptr());
  for (int64_t i = 0; i < dense.numel(); ++i) {
    STD_TORCH_CHECK(values[i] >= 0 && values[i] < 4, op, ": index must be 0, 1, 2 or 3, got ", values[i]);
  }
  return dense;
}

Tensor polyphase_norms(const Tensor& x, std::string norm) {
  const char* name = "polyphase_norms";
  check_images(name, "x", x);
  const PolyphaseNorm kind = norm_of(name, norm);
  const bool channels_last = is_channels_last(x), sums = norm == "l2" || norm == "l1";
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < x.dim() - 3; ++i) sizes.push_back(x.size(i));
  sizes.push_back(4);
  const Tensor scores = torch::stable::new_zeros(x, sizes, ScalarType::Double);
  STD_TORCH_CHECK(x.size(x.dim() - 3) >= 1, name, ": x must have a channel");
  if (x.numel() == 0) return scores;
  const Tensor source = in_layout(x, channels_last);
  PolyphaseNorms op{pooled_images(name, source, channels_last), kind, nullptr};
  visit_compute_type(x, [&](auto zero) {
    const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
    const int64_t items = kernels.polyphase_norms_items(op), each = items / op.x.batch;
    std::vector<double> partial(4 * items);
    op.partial = partial.data();
    run_parallel(items, grain_of(x.numel() / items), 64,
                 [&](int64_t begin, int64_t end, void*) { kernels.polyphase_norms(op, begin, end); });
    // In the order of the items, whichever thread had which.
    auto* out = static_cast<double*>(scores.mutable_data_ptr());
    for (int64_t i = 0; i < 4 * op.x.batch; ++i) {
      const double* of_image = partial.data() + i / 4 * each * 4 + i % 4;
      out[i] = of_image[0];
      for (int64_t k = 1; k < each; ++k) out[i] = sums ? out[i] + of_image[4 * k] : larger(out[i], of_image[4 * k]);
    }
  });
  return scores;
}

Tensor polyphase_pool(const Tensor& x, const Tensor& index, bool circular) {
  const char* name = "polyphase_pool";
  check_images(name, "x", x);
  const Tensor dense = checked_index(name, index, x);
  const bool channels_last = is_channels_last(x);
  const int64_t height = (x.size(x.dim() - 2) + 1) / 2, width = (x.size(x.dim() - 1) + 1) / 2;
  const Tensor y = new_planes(x, height, width, channels_last);
  if (y.numel() == 0) return y;
  prefer_huge_pages_if_large(y);
  const Tensor source = in_layout(x, channels_last);
  const PolyphasePool op{pooled_images(name, source, channels_last), pooled_images(name, y, channels_last),
                         static_cast<const int64_t*>(dense.const_data_ptr()), circular};
  visit_compute_type(x, [&](auto zero) {
    const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
    const int64_t items = kernels.polyphase_pool_items(op);
    run_parallel(items, grain_of(x.numel() / items), 64,
                 [&](int64_t begin, int64_t end, void*) { kernels.polyphase_pool(op, begin, end); });
  });
  return y;
}

Tensor polyphase_unpool(const Tensor& y, const Tensor& index, std::vector<int64_t> size, bool circular) {
  const char* name = "polyphase_unpool";
  check_images(name, "y", y);
  const Tensor dense = checked_index(name, index, y);
  STD_TORCH_CHECK(size.size() == 2, name, ": size must hold 2 numbers");
  check_pooled_plane(name, "the output", size[0], size[1]);
  STD_TORCH_CHECK(y.size(y.dim() - 2) == (size[0] + 1) / 2 && y.size(y.dim() - 1) == (size[1] + 1) / 2, name,
                  ": y must have planes of half the size, rounded up");
  const bool channels_last = is_channels_last(y);
  const Tensor x = new_planes(y, size[0], size[1], channels_last);
  if (x.numel() == 0) return x;
  prefer_huge_pages_if_large(x);
  const Tensor source = in_layout(y, channels_last);
  const PolyphasePool op{pooled_images(name, x, channels_last), pooled_images(name, source, channels_last),
                         static_cast<const int64_t*>(dense.const_data_ptr()), circular};
  visit_compute_type(y, [&](auto zero) {
    const cpu::Kernels<decltype(zero)>& kernels = cpu::kernels<decltype(zero)>();
    const int64_t items = kernels.polyphase_unpool_items(op);
    run_parallel(items, grain_of(x.numel() / items), 64,
                 [&](int64_t begin, int64_t end, void*) { kernels.polyphase_unpool(op, begin, end); });
  });
  return x;
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) {
  m.impl("polyphase_norms", TORCH_BOX(&freqops::polyphase_norms));
  m.impl("polyphase_pool", TORCH_BOX(&freqops::polyphase_pool));
  m.impl("polyphase_unpool", TORCH_BOX(&freqops::polyphase_unpool));
}
