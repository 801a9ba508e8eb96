#include "tensor_images.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace freqops {
namespace {

// The strides of a tensor whose elements fill its memory without gap or overlap; nothing otherwise.
std::optional<std::vector<int64_t>> dense_strides(const Tensor& x) {
  std::vector<int64_t> axes(x.dim()), strides(x.dim());
  std::iota(axes.begin(), axes.end(), 0);
  for (int64_t i = 0; i < x.dim(); ++i) strides[i] = x.stride(i);
  std::sort(axes.begin(), axes.end(), [&](int64_t a, int64_t b) { return strides[a] < strides[b]; });
  int64_t expected = 1;
  for (const int64_t axis : axes) {
    if (x.size(axis) == 1) continue;
    if (strides[axis] != expected) return std::nullopt;
    expected *= x.size(axis);
  }
  return strides;
}

Tensor new_dense(const Tensor& x, int64_t slabs) {
  std::vector<int64_t> sizes(x.dim()), strides;
  for (int64_t i = 0; i < x.dim(); ++i) sizes[i] = x.size(i);
  if (const auto dense = dense_strides(x)) {
    strides = *dense;
  } else {
    strides.assign(x.dim(), 1);
    for (int64_t i = x.dim() - 2; i >= 0; --i) strides[i] = strides[i + 1] * std::max<int64_t>(sizes[i + 1], 1);
  }
  if (slabs >= 0) {
    sizes.insert(sizes.begin(), slabs);
    strides.insert(strides.begin(), std::max<int64_t>(x.numel(), 1));
  }
  Tensor y = new_strided(x, sizes, strides);
  prefer_huge_pages_if_large(y);
  return y;
}

}  // namespace

Shape checked_shape(const char* op, const char* argument, const Tensor& x, int64_t dims) {
  STD_TORCH_CHECK(dims == 1 || dims == 2, op, ": dims must be 1 or 2, got ", dims);
  STD_TORCH_CHECK(x.is_cpu(), op, ": ", argument, " must be a CPU tensor");
  STD_TORCH_CHECK(element_of(x).has_value(), op, ": ", argument, " must be float32, float64, float16 or bfloat16");
  STD_TORCH_CHECK(x.dim() >= dims, op, ": ", argument, " must have at least ", dims, " dimensions, got ", x.dim());
  Shape shape;
  for (int64_t i = 0; i < x.dim(); ++i) shape.sizes.push_back(x.size(i));
  shape.width = x.size(x.dim() - 1);
  shape.height = dims == 2 ? x.size(x.dim() - 2) : 1;
  shape.channels = x.dim() > dims ? x.size(x.dim() - dims - 1) : 1;
  constexpr int64_t kLargestPlane = int64_t{1} << 26;
  STD_TORCH_CHECK(shape.height >= 1 && shape.width >= 1, op, ": ", argument,
                  " must not be empty along a transformed axis");
  STD_TORCH_CHECK(shape.height <= kLargestPlane / shape.width, op, ": a plane of ", argument, " must have at most ",
                  kLargestPlane, " elements");
  return shape;
}

void check_same(const char* op, const Tensor& x, const Tensor& y) {
  bool same = x.dim() == y.dim() && x.scalar_type() == y.scalar_type() && y.is_cpu();
  for (int64_t i = 0; same && i < x.dim(); ++i) same = x.size(i) == y.size(i);
  STD_TORCH_CHECK(same, op, ": both tensors must have the same shape and dtype on the CPU");
}

ScalarType compute_type(const Tensor& x) {
  return x.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

std::optional<Images> images_of(const Tensor& x, const Shape& shape, int64_t dims) {
  Images images{};
  images.data = const_cast<void*>(x.const_data_ptr());
  images.element = *element_of(x);
  images.height = shape.height;
  images.width = shape.width;
  images.channels = shape.channels;
  images.batch = x.numel() / (shape.height * shape.width * std::max<int64_t>(shape.channels, 1));
  images.column_stride = x.stride(x.dim() - 1);
  images.row_stride = dims == 2 ? x.stride(x.dim() - 2) : shape.width * images.column_stride;
  const int64_t leading = x.dim() - dims;
  images.channel_stride = leading > 0 ? x.stride(leading - 1) : 0;
  // The axes before the channels become one: each must step over exactly the ones after it.
  int64_t extent = 1;
  for (int64_t i = leading - 2; i >= 0; --i) {
    if (x.size(i) == 1) continue;
    if (extent == 1) images.batch_stride = x.stride(i);
    if (x.stride(i) != images.batch_stride * extent) return std::nullopt;
    extent *= x.size(i);
  }
  return images;
}

Tensor readable(const Tensor& x, const Shape& shape, int64_t dims) {
  return images_of(x, shape, dims) ? x : as_contiguous(x);
}

bool is_large(const Tensor& y) { return size_t(y.numel()) * y.element_size() >= size_t{32} << 20; }
void prefer_huge_pages_if_large(const Tensor& y) {
  if (y.is_cpu() && is_large(y)) prefer_huge_pages(y.mutable_data_ptr(), y.numel() * y.element_size());
}

Tensor empty_dense_like(const Tensor& x) { return new_dense(x, -1); }
Tensor empty_slabs_like(const Tensor& x, int64_t slabs) { return new_dense(x, slabs); }

int64_t grain_of(int64_t elements_per_item) {
  constexpr int64_t kWorthAThread = 32768;
  return std::max<int64_t>(1, kWorthAThread / elements_per_item);
}

}  // namespace freqops
