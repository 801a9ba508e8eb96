// The separable maps as an op. Safe to call with any argument; which form takes a problem is the kernels' business.
#include "../../kernels/cuda/separable.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

constexpr const char* kSeparable = "separable";

ScalarType compute_type_of(const Tensor& x) {
  return x.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Of the compute type, on x's device, contiguous.
Tensor checked_values(const char* argument, const Tensor& values, const Tensor& x) {
  STD_TORCH_CHECK(on_device(values) && values.get_device_index() == x.get_device_index() &&
                      values.scalar_type() == compute_type_of(x),
                  kSeparable, ": ", argument, " must be of the compute dtype of x and on its device");
  return values.is_contiguous() ? values : torch::stable::contiguous(values);
}

std::optional<Tensor> checked_matrix(const char* argument, const std::optional<Tensor>& matrix, const Tensor& x,
                                     int64_t samples) {
  if (!matrix) return std::nullopt;
  STD_TORCH_CHECK(matrix->dim() == 2 && matrix->size(1) == samples && matrix->size(0) >= 1, kSeparable, ": ", argument,
                  " must be a matrix with at least 1 row and ", samples, " columns, one for each sample of x there");
  return checked_values(argument, *matrix, x);
}

// A signal is an image of one row.
Images images_of(const Tensor& x, bool channels_last) {
  if (x.dim() > 1) return pooled_images(kSeparable, x, channels_last);
  const int64_t width = x.size(0);
  return {.data = const_cast<void*>(x.const_data_ptr()),
          .element = pool_element(kSeparable, "x", x),
          .batch = 1,
          .channels = 1,
          .height = 1,
          .width = width,
          .batch_stride = width,
          .channel_stride = width,
          .row_stride = width,
          .column_stride = 1};
}

void check_x(const Tensor& x, int64_t height, int64_t width, int64_t axes) {
  STD_TORCH_CHECK(on_device(x), kSeparable, ": x must be a ", kDevice, " tensor");
  pool_element(kSeparable, "x", x);
  check_plane(kSeparable, "x", height, width);
  const int64_t planes = x.numel() / (height * width);
  STD_TORCH_CHECK(planes <= kMostPlanes, kSeparable, ": x must have at most ", kMostPlanes, " planes, got ", planes,
                  " of ", axes, " axes");
}

Tensor new_result(const Tensor& x, int64_t height, int64_t width, bool channels_last) {
  if (x.dim() == 1) return new_strided_memory(x, {width}, {1});
  const PlanesLayout layout(x, height, width, channels_last);
  return new_strided_memory(x, layout.sizes, layout.strides);
}

const void* data_of(const std::optional<Tensor>& tensor) { return tensor ? tensor->const_data_ptr() : nullptr; }

Tensor separable_op(const Tensor& x, std::optional<Tensor> rows, std::optional<Tensor> columns,
                    std::optional<Tensor> outer, bool mirrored) {
  STD_TORCH_CHECK(rows || columns, kSeparable, ": rows or columns must be a matrix, got neither");
  const int64_t axes = rows ? 2 : 1;
  STD_TORCH_CHECK(x.dim() >= axes, kSeparable, ": x must have at least ", axes, " dimensions, got ", x.dim());
  const int64_t height = x.dim() > 1 ? x.size(x.dim() - 2) : 1, width = x.size(x.dim() - 1);
  // Without a matrix for rows there may be any number of them, also none.
  if (rows || height > 0) check_x(x, height, width, axes);
  rows = checked_matrix("rows", rows, x, height);
  columns = checked_matrix("columns", columns, x, width);
  const int64_t out_height = rows ? rows->size(0) : height, out_width = columns ? columns->size(0) : width;
  if (x.numel() > 0) check_plane(kSeparable, "the output", out_height, out_width);
  if (outer) {
    STD_TORCH_CHECK(rows && columns, kSeparable, ": outer needs matrices for both axes");
    const int64_t count = out_height + height + out_width + width;
    STD_TORCH_CHECK(outer->dim() == 1 && outer->size(0) == count, kSeparable, ": outer must hold ", count,
                    " numbers, p and q of the height and p and q of the width");
    outer = checked_values("outer", *outer, x);
  }
  const bool channels_last = is_channels_last(x);
  const Tensor source = in_layout(x, channels_last), y = new_result(x, out_height, out_width, channels_last);
  if (y.numel() == 0) return y;
  const SeparableProblem problem{.x = images_of(source, channels_last),
                                 .y = images_of(y, channels_last),
                                 .rows = data_of(rows),
                                 .columns = data_of(columns),
                                 .outer = data_of(outer),
                                 .mirrored = mirrored};
  launch(kSeparable, y, [&](void* stream) {
    const int64_t count = separable_work(problem);
    if (count == 0) return separable(problem, nullptr, stream);
    const Tensor work = new_memory(y, {count}, compute_type_of(x));
    return separable(problem, work.mutable_data_ptr(), stream);
  });
  return y;
}

// Which form would take images of a size [N, C, H, W] and like's dtype, on like's device. outputs: h and w, 0 where there
// is no matrix for that axis.
std::string separable_path_op(const Tensor& like, std::vector<int64_t> size, std::vector<int64_t> outputs,
                              bool channels_last, bool outer, bool mirrored) {
  const char* name = "separable_path";
  STD_TORCH_CHECK(size.size() == 4 && outputs.size() == 2, name, ": size must hold 4 numbers and outputs 2");
  STD_TORCH_CHECK(size[0] >= 0 && size[1] >= 0 && size[0] <= kMostPlanes / std::max<int64_t>(size[1], 1), name,
                  ": at most ", kMostPlanes, " planes");
  const int64_t height = outputs[0] > 0 ? outputs[0] : size[2], width = outputs[1] > 0 ? outputs[1] : size[3];
  check_plane(name, "x", size[2], size[3]);
  check_plane(name, "the output", height, width);
  const Element element = pool_element(name, "like", like);
  const auto images = [&](int64_t rows, int64_t columns) {
    return images_like(element, size, rows, columns, channels_last);
  };
  // Only whether there are matrices is asked of these.
  const char stand_in = 0;
  const SeparableProblem problem{.x = images(size[2], size[3]),
                                 .y = images(height, width),
                                 .rows = outputs[0] > 0 ? &stand_in : nullptr,
                                 .columns = outputs[1] > 0 ? &stand_in : nullptr,
                                 .outer = outer ? &stand_in : nullptr,
                                 .mirrored = mirrored};
  SeparablePath path{};
  launch(name, like, [&](void*) {
    path = separable_path(problem);
    return 0;
  });
  return name_of(path);
}

}  // namespace
}  // namespace freqops::cuda

#ifdef FREQOPS_REPLAY
// On CUDA the schema is that of ../schema.cpp.
STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("separable(Tensor x, Tensor? rows, Tensor? columns, Tensor? outer, bool mirrored) -> Tensor");
}
#endif

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("separable_path(Tensor like, int[] size, int[] outputs, bool channels_last, bool outer, bool mirrored) -> str");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("separable", TORCH_BOX(&freqops::cuda::separable_op));
  m.impl("separable_path", TORCH_BOX(&freqops::cuda::separable_path_op));
}
