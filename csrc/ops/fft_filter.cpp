// fft_filter, filter_bank and its adjoint, low_high, split_bands: the operators of one kernel.
#include <tuple>

#include "../kernels/cpu/dispatch.h"
#include "plan_cache.h"
#include "pool_geometry.h"
#include "tensor_images.h"

namespace freqops {
namespace {

// Responses as the kernel wants them: contiguous, of the compute type, [R][C or 1][height][width / 2 + 1].
struct Responses {
  Tensor re;
  std::optional<Tensor> im;
  int count;
  int64_t channels;
};

Responses checked_responses(const char* op, const Tensor& x, const Shape& shape, const Tensor& re,
                            const std::optional<Tensor>& im, int64_t dims, bool bank) {
  const int64_t first = bank ? 1 : 0, axes = re.dim() - first;
  STD_TORCH_CHECK(axes == dims || axes == dims + 1, op, ": a response must have ", dims, " or ", dims + 1,
                  " dimensions, got ", axes);
  STD_TORCH_CHECK(re.is_cpu() && re.scalar_type() == compute_type(x), op,
                  ": the response must be on the CPU in the compute dtype of x");
  const bool fits = re.size(re.dim() - 1) == shape.width / 2 + 1 &&
                    (dims == 1 || re.size(re.dim() - 2) == shape.height) &&
                    (axes == dims || (re.size(first) == shape.channels && x.dim() > dims));
  STD_TORCH_CHECK(fits, op, ": the response does not fit x");
  if (im) check_same(op, re, *im);
  Responses responses{as_contiguous(re), std::nullopt, 1, 1};
  if (im) responses.im = as_contiguous(*im);
  if (bank) {
    STD_TORCH_CHECK(re.size(0) >= 1 && re.size(0) <= 1 << 20, op, ": the number of responses must be 1 to 2^20");
    responses.count = static_cast<int>(re.size(0));
  }
  if (axes > dims) responses.channels = re.size(first);
  return responses;
}

// Lines (height or width 1) are cut into planes by the form chosen for them.
Images in_form(const Images& images, const FilterForm& form) {
  if (!form.line) return images;
  Images line = images;
  line.column_stride = images.height == 1 ? images.column_stride : images.row_stride;
  line.height = form.height;
  line.width = form.width;
  line.row_stride = line.column_stride * form.width;
  return line;
}

// Outputs too large for the caches are written past them, where the kernel can do that with whole aligned vectors.
template <class T>
bool can_stream(const FilterBank<T>& bank, int lanes) {
  constexpr size_t kBeyondCaches = size_t{32} << 20, kVector = 64;
  const size_t bytes = bank.y.planes() * bank.y.height * bank.y.width * sizeof(T) * bank.responses;
  const bool contiguous = bank.y.column_stride == 1 && bank.y.row_stride == bank.y.width;
  return std::is_same_v<T, float> && bank.y.element == Element::kFloat && contiguous && bytes >= kBeyondCaches &&
         lanes * sizeof(T) == kVector && bank.y.width % lanes == 0 && bank.complement == Complement::kNone &&
         reinterpret_cast<uintptr_t>(bank.y.data) % kVector == 0;
}

struct Outputs {
  Tensor y;
  std::optional<Tensor> high;
  Complement complement;
};

// A bank over x and y, of which one may have a leading axis of responses, with the tables it needs.
template <class T>
std::shared_ptr<const ResponseTables<T>> prepare_bank(const Tensor& x, const Tensor& y, const Shape& shape,
                                                      const Responses& responses, int64_t dims, bool adjoint,
                                                      FilterBank<T>& bank) {
  const int lanes = cpu::kernels<T>().lanes;
  const bool slabs = y.dim() > x.dim();
  bank.x = *images_of(x, shape, dims);
  bank.y = *images_of(slabs ? torch::stable::select(y, 0, 0) : y, shape, dims);
  bank.response_stride = slabs ? y.stride(0) : 0;
  const int64_t planes = adjoint ? 1 : responses.channels == 1 ? bank.x.planes() : bank.x.batch;
  FilterForm form = choose_filter_form(shape.height, shape.width, planes, lanes);
  if (adjoint) form.planes_as_lanes = false;
  const auto plan = cached_filter_plan<T>(form, lanes);
  const T* im = responses.im ? static_cast<const T*>(responses.im->const_data_ptr()) : nullptr;
  auto tables = cached_tables<T>(plan, {static_cast<const T*>(responses.re.const_data_ptr()), im, responses.count,
                                        responses.channels, shape.height, shape.width});
  tables->attach(bank);
  bank.x = in_form(bank.x, form);
  bank.y = in_form(bank.y, form);
  return tables;
}

template <class T>
void run_bank(const Tensor& x, const Shape& shape, const Responses& responses, int64_t dims, const Outputs& outputs) {
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  FilterBank<T> bank{};
  const auto tables = prepare_bank(x, outputs.y, shape, responses, dims, false, bank);
  bank.complement = outputs.complement;
  bank.high = outputs.high ? outputs.high->mutable_data_ptr() : nullptr;
  bank.stream = can_stream(bank, kernels.lanes);
  const int64_t items = kernels.filter_bank_items(bank);
  const int64_t elements = bank.x.planes() * shape.height * shape.width * responses.count / items;
  run_parallel(items, grain_of(elements), kernels.filter_bank_scratch(bank),
               [&](int64_t begin, int64_t end, void* scratch) { kernels.filter_bank(bank, begin, end, scratch); });
}

void run(const Tensor& x, const Shape& shape, const Responses& responses, int64_t dims, const Outputs& outputs) {
  if (x.numel() == 0) return;
  const Tensor source = readable(x, shape, dims);
  visit_compute_type(x, [&](auto zero) { run_bank<decltype(zero)>(source, shape, responses, dims, outputs); });
}

// Tensors whose layout the kernels cannot write (leading axes in an order of their own) get a contiguous stand-in.
bool is_writable(const Tensor& like, const Shape& shape, int64_t dims) {
  return like.numel() == 0 || images_of(like, shape, dims).has_value();
}

void filter_into(const char* op, const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag,
                 int64_t dims, Tensor& y) {
  const Shape shape = checked_shape(op, "x", x, dims);
  const Responses responses = checked_responses(op, x, shape, response, imag, dims, false);
  if (is_writable(y, shape, dims)) {
    run(x, shape, responses, dims, {y, std::nullopt, Complement::kNone});
    return;
  }
  const Tensor plain = empty_dense_like(as_contiguous(x));
  run(x, shape, responses, dims, {plain, std::nullopt, Complement::kNone});
  torch::stable::copy_(y, plain);
}

Tensor fft_filter(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag, int64_t dims) {
  checked_shape("fft_filter", "x", x, dims);
  Tensor y = empty_dense_like(x);
  filter_into("fft_filter", x, response, imag, dims, y);
  return y;
}

Tensor fft_filter_out(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag, int64_t dims,
                      const Tensor& out) {
  check_same("fft_filter", x, out);
  Tensor y = out;
  filter_into("fft_filter", x, response, imag, dims, y);
  return y;
}

// Sizes of the transformed axes as height and width; a line has height 1.
Shape plane_of(const char* op, const char* what, const std::vector<int64_t>& sizes, const Shape& like) {
  Shape shape = like;
  shape.height = sizes.size() == 2 ? sizes[0] : 1;
  shape.width = sizes.back();
  check_pooled_plane(op, what, shape.height, shape.width);
  return shape;
}

// The planes, or lines, of a tensor that is contiguous or channels_last.
Images padded_images(const char* op, const Tensor& x, const Shape& shape, int64_t dims, bool channels_last) {
  return dims == 2 ? pooled_images(op, x, channels_last) : *images_of(x, shape, 1);
}

Tensor new_like(const Tensor& x, const Shape& shape, int64_t dims, bool channels_last) {
  if (x.dim() == 1) return new_strided(x, {shape.width}, {1});
  return new_planes(x, dims == 2 ? shape.height : x.size(x.dim() - 2), shape.width, channels_last);
}

// x followed by zeros up to `grid`, filtered there, and the first `size` of the result: a linear correlation by transforms.
Tensor fft_filter_padded_kept(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag,
                              std::vector<int64_t> grid, std::vector<int64_t> size, int64_t key) {
  const char* op = "fft_filter_padded";
  const int64_t dims = static_cast<int64_t>(grid.size());
  STD_TORCH_CHECK((dims == 1 || dims == 2) && grid.size() == size.size(), op,
                  ": grid and size must both hold 1 or 2 numbers");
  const Shape shape = checked_shape(op, "x", x, dims);
  const Shape on_grid = plane_of(op, "the grid", grid, shape), cut = plane_of(op, "the output", size, shape);
  STD_TORCH_CHECK(
      std::max(shape.height, cut.height) <= on_grid.height && std::max(shape.width, cut.width) <= on_grid.width, op,
      ": grid must hold x and the output, got ", on_grid.height, " x ", on_grid.width);
  const Responses responses = checked_responses(op, x, on_grid, response, imag, dims, false);
  const bool channels_last = dims == 2 && is_channels_last(x);
  const Tensor y = new_like(x, cut, dims, channels_last);
  if (y.numel() == 0) return y;
  const Tensor source = in_layout(x, channels_last);
  visit_compute_type(x, [&](auto zero) {
    using T = decltype(zero);
    const cpu::Kernels<T>& kernels = cpu::kernels<T>();
    FilterBank<T> bank{};
    bank.x = padded_images(op, source, shape, dims, channels_last);
    bank.y = padded_images(op, y, cut, dims, channels_last);
    const int64_t planes = responses.channels == 1 ? bank.x.planes() : bank.x.batch;
    FilterForm form = choose_filter_form(on_grid.height, on_grid.width, planes, kernels.lanes);
    // A plane of one column is no run of memory on both sides.
    if (form.line && dims == 2) {
      form = {static_cast<int>(on_grid.height), static_cast<int>(on_grid.width), false, false};
    }
    const T* im = responses.im ? static_cast<const T*>(responses.im->const_data_ptr()) : nullptr;
    const auto tables = cached_tables<T>(cached_filter_plan<T>(form, kernels.lanes),
                                         {static_cast<const T*>(responses.re.const_data_ptr()), im, 1,
                                          responses.channels, on_grid.height, on_grid.width, key});
    tables->attach(bank);
    const int64_t items = kernels.filter_bank_items(bank);
    const int64_t elements = bank.x.planes() * on_grid.height * on_grid.width / items;
    run_parallel(items, grain_of(elements), kernels.filter_bank_scratch(bank),
                 [&](int64_t begin, int64_t end, void* scratch) { kernels.filter_bank(bank, begin, end, scratch); });
  });
  return y;
}

Tensor fft_filter_padded(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag,
                         std::vector<int64_t> grid, std::vector<int64_t> size) {
  return fft_filter_padded_kept(x, response, imag, std::move(grid), std::move(size), 0);
}

// The R (+ 1) slabs of a bank, through a contiguous stand-in where x's layout cannot be written.
Tensor run_slabs(const Tensor& x, const Shape& shape, const Responses& responses, int64_t dims, Complement complement,
                 std::optional<Tensor>* high) {
  const int64_t slabs = responses.count + (complement == Complement::kRest ? 1 : 0);
  Tensor y = empty_slabs_like(x, slabs);
  if (high) *high = empty_slabs_like(x, slabs);
  if (x.numel() == 0) return y;
  if (is_writable(torch::stable::select(y, 0, 0), shape, dims)) {
    run(x, shape, responses, dims, {y, high ? *high : std::nullopt, complement});
    return y;
  }
  const Tensor plain_x = as_contiguous(x);
  std::optional<Tensor> plain_high;
  const Tensor plain = run_slabs(plain_x, shape, responses, dims, complement, high ? &plain_high : nullptr);
  torch::stable::copy_(y, plain);
  if (high) torch::stable::copy_(**high, *plain_high);
  return y;
}

Tensor filter_bank(const Tensor& x, const Tensor& responses, const std::optional<Tensor>& imag, int64_t dims) {
  const Shape shape = checked_shape("filter_bank", "x", x, dims);
  const Responses checked = checked_responses("filter_bank", x, shape, responses, imag, dims, true);
  return run_slabs(x, shape, checked, dims, Complement::kNone, nullptr);
}

template <class T>
void run_adjoint(const Tensor& y, const Tensor& x, const Shape& shape, const Responses& responses, int64_t dims) {
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  FilterBank<T> bank{};
  const auto tables = prepare_bank(x, y, shape, responses, dims, true, bank);
  const int64_t items = kernels.filter_bank_adjoint_items(bank);
  run_parallel(
      items, grain_of(2 * shape.height * shape.width * responses.count), kernels.filter_bank_adjoint_scratch(bank),
      [&](int64_t begin, int64_t end, void* scratch) { kernels.filter_bank_adjoint(bank, begin, end, scratch); });
}

Tensor filter_bank_adjoint(const Tensor& y, const Tensor& responses, const std::optional<Tensor>& imag, int64_t dims) {
  const char* name = "filter_bank_adjoint";
  checked_shape(name, "y", y, dims);
  STD_TORCH_CHECK(y.dim() > dims && responses.dim() > dims && y.size(0) == responses.size(0) && y.size(0) >= 1, name,
                  ": y must have the responses' number of slabs along its first axis");
  const Tensor slab = torch::stable::select(y, 0, 0);
  const Shape shape = checked_shape(name, "y", slab, dims);
  const Responses checked = checked_responses(name, slab, shape, responses, imag, dims, true);
  Tensor x = empty_dense_like(slab);
  if (x.numel() == 0) return x;
  const bool simple = is_writable(slab, shape, dims) && is_writable(x, shape, dims);
  const Tensor source = simple ? y : as_contiguous(y);
  const Tensor target = simple ? x : empty_dense_like(torch::stable::select(source, 0, 0));
  visit_compute_type(x, [&](auto zero) { run_adjoint<decltype(zero)>(source, target, shape, checked, dims); });
  if (!simple) torch::stable::copy_(x, target);
  return x;
}

std::tuple<Tensor, Tensor> low_high(const Tensor& x, const Tensor& responses, int64_t dims) {
  const Shape shape = checked_shape("low_high", "x", x, dims);
  const Responses checked = checked_responses("low_high", x, shape, responses, std::nullopt, dims, true);
  std::optional<Tensor> high;
  const Tensor low = run_slabs(x, shape, checked, dims, Complement::kEach, &high);
  return {low, *high};
}

bool strides_alike(const Tensor& x, const Tensor& y) {
  for (int64_t i = 0; i < x.dim(); ++i) {
    if (x.stride(i) != y.stride(i)) return false;
  }
  return true;
}

std::tuple<Tensor, Tensor> low_high_out(const Tensor& x, const Tensor& responses, int64_t dims, const Tensor& low,
                                        const Tensor& high) {
  const char* op = "low_high";
  const Shape shape = checked_shape(op, "x", x, dims);
  const Responses checked = checked_responses(op, x, shape, responses, std::nullopt, dims, true);
  STD_TORCH_CHECK(low.dim() == x.dim() + 1 && low.size(0) == checked.count, op,
                  ": low must have a slab like x for each response");
  check_same(op, low, high);
  const Tensor slab = torch::stable::select(low, 0, 0);
  check_same(op, x, slab);
  Tensor written_low = low, written_high = high;
  if (is_writable(slab, shape, dims) && strides_alike(low, high)) {
    run(x, shape, checked, dims, {low, high, Complement::kEach});
    return {written_low, written_high};
  }
  const auto [own_low, own_high] = low_high(x, responses, dims);
  torch::stable::copy_(written_low, own_low);
  torch::stable::copy_(written_high, own_high);
  return {written_low, written_high};
}

Tensor split_bands(const Tensor& x, const Tensor& responses, int64_t dims) {
  const Shape shape = checked_shape("split_bands", "x", x, dims);
  const Responses checked = checked_responses("split_bands", x, shape, responses, std::nullopt, dims, true);
  return run_slabs(x, shape, checked, dims, Complement::kRest, nullptr);
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) {
  m.impl("fft_filter", TORCH_BOX(&freqops::fft_filter));
  m.impl("fft_filter.out", TORCH_BOX(&freqops::fft_filter_out));
  m.impl("fft_filter_padded", TORCH_BOX(&freqops::fft_filter_padded));
  m.impl("fft_filter_padded.kept", TORCH_BOX(&freqops::fft_filter_padded_kept));
  m.impl("filter_bank", TORCH_BOX(&freqops::filter_bank));
  m.impl("filter_bank_adjoint", TORCH_BOX(&freqops::filter_bank_adjoint));
  m.impl("low_high", TORCH_BOX(&freqops::low_high));
  m.impl("low_high.out", TORCH_BOX(&freqops::low_high_out));
  m.impl("split_bands", TORCH_BOX(&freqops::split_bands));
}
