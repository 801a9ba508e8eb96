// Between tensors and what the kernels know: shapes, strides, dtypes, and how outputs are laid out.
#pragma once

#include <optional>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "../kernels/images.h"
#include "scratch.h"
#include "tensors.h"

namespace freqops {

// The axes of an operator: `dims` trailing ones are transformed, the one before them is the channel axis.
struct Shape {
  std::vector<int64_t> sizes;
  int64_t height, width;  // of the transformed axes; height is 1 for dims = 1
  int64_t channels;       // 1 where there is no axis before the transformed ones
};

Shape checked_shape(const char* op, const char* argument, const Tensor& x, int64_t dims);
void check_same(const char* op, const Tensor& x, const Tensor& y);

// float32 for half types, else the dtype itself.
ScalarType compute_type(const Tensor& x);

// The tensor as images, or nothing where its leading axes cannot be walked with one stride.
std::optional<Images> images_of(const Tensor& x, const Shape& shape, int64_t dims);
// The tensor itself, or a contiguous copy where it cannot be read as images.
Tensor readable(const Tensor& x, const Shape& shape, int64_t dims);

// x itself where it is contiguous already: asking the dispatcher for that costs as much as filtering a small image.
inline Tensor as_contiguous(const Tensor& x) { return x.is_contiguous() ? x : torch::stable::contiguous(x); }

// Larger than the caches, and mapped anew by glibc on every call: written past the caches, and to large pages.
bool is_large(const Tensor& y);
void prefer_huge_pages_if_large(const Tensor& y);

// A new tensor of x's dtype: x's strides where x is dense, else contiguous; with `slabs` a leading axis of that many
// such tensors.
Tensor empty_dense_like(const Tensor& x);
Tensor empty_slabs_like(const Tensor& x, int64_t slabs);

// Calls visit(float{}) or visit(double{}) with the compute type of x.
template <class Visit>
auto visit_compute_type(const Tensor& x, Visit&& visit) {
  return x.scalar_type() == ScalarType::Double ? visit(double{}) : visit(float{});
}

// Runs work(begin, end, scratch) over `items` on torch's threads.
template <class Work>
void run_parallel(int64_t items, int64_t grain, size_t scratch_bytes, Work&& work) {
  torch::stable::parallel_for(0, items, grain, [&](int64_t begin, int64_t end) {
    Scratch& scratch = Scratch::of_this_thread();
    work(begin, end, scratch.reserve(scratch_bytes));
    scratch.trim();
  });
}
// So many items that a thread is worth waking for them.
int64_t grain_of(int64_t elements_per_item);

}  // namespace freqops
