#include "../kernels/separable.h"

#include <algorithm>

#include "../kernels/axis_map_plan.h"
#include "../kernels/cpu/dispatch.h"
#include "pool_geometry.h"
#include "tensor_images.h"

namespace freqops {
namespace {

constexpr const char* kName = "separable";

void check_values(const char* argument, const Tensor& values, const Tensor& x) {
  STD_TORCH_CHECK(values.is_cpu() && values.scalar_type() == compute_type(x), kName, ": ", argument,
                  " must be a CPU tensor of the compute dtype of x");
}

void check_matrix(const char* argument, const Tensor& matrix, const Tensor& x, int64_t inputs) {
  check_values(argument, matrix, x);
  STD_TORCH_CHECK(matrix.dim() == 2 && matrix.size(1) == inputs, kName, ": ", argument,
                  " must be a matrix with a column for each of the ", inputs, " samples of its axis of x");
  STD_TORCH_CHECK(matrix.size(0) >= 1, kName, ": ", argument, " must have at least 1 row");
}

// The axes as the kernels take them; the packed matrices live here for one call.
template <class T>
struct Axes {
  std::optional<PackedAxisMap<T>> packed_rows, packed_columns;
  AxisMap<T> rows{}, columns{};

  Axes(Separable<T>& op, const Tensor* row_matrix, const Tensor* column_matrix, bool mirrored) {
    const int together = cpu::kernels<T>().separable_sums_together(mirrored);
    if (row_matrix) {
      pack(packed_rows, *row_matrix, op.outer_h, op.rows_first, mirrored, together, rows);
      op.rows = &rows;
    }
    if (column_matrix) {
      pack(packed_columns, *column_matrix, op.outer_w, !op.rows_first, mirrored, together, columns);
      op.columns = &columns;
    }
  }

 private:
  static void pack(std::optional<PackedAxisMap<T>>& packed, const Tensor& matrix,
                   const typename Separable<T>::Outer& outer, bool first, bool mirrored, int together,
                   AxisMap<T>& map) {
    packed.emplace(static_cast<const T*>(matrix.const_data_ptr()), matrix.size(0), matrix.size(1),
                   first ? outer.q : nullptr, first ? nullptr : outer.p, mirrored, together);
    map = packed->map();
  }
};

template <class T>
void run(Separable<T> op, const Tensor* rows, const Tensor* columns, const Tensor* outer, bool mirrored) {
  if (outer) {
    const T* p_h = static_cast<const T*>(outer->const_data_ptr());
    const T* q_h = p_h + op.y.height;
    const T* p_w = q_h + op.x.height;
    op.outer_h = {p_h, q_h};
    op.outer_w = {p_w, p_w + op.y.width};
  }
  op.rows_first = !columns || !rows || op.y.height <= op.x.height;
  const Axes<T> axes(op, rows, columns, mirrored);
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  const int64_t items = kernels.separable_items(op);
  const int64_t elements = op.x.planes() * std::max(op.x.height * op.x.width, op.y.height * op.y.width);
  run_parallel(items, grain_of(std::max<int64_t>(1, elements / items)), kernels.separable_scratch(op),
               [&](int64_t begin, int64_t end, void* scratch) { kernels.separable(op, begin, end, scratch); });
}

Tensor separable(const Tensor& x, std::optional<Tensor> rows, std::optional<Tensor> columns,
                 std::optional<Tensor> outer, bool mirrored) {
  STD_TORCH_CHECK(rows || columns, kName, ": rows or columns must be a matrix, got neither");
  const Shape shape = checked_shape(kName, "x", x, rows ? 2 : 1);
  // Without a matrix for rows the height is left as it is, and a line may come without one.
  const int64_t out_height = rows ? rows->size(0) : shape.height;
  const int64_t out_width = columns ? columns->size(0) : shape.width;
  if (rows) check_matrix("rows", *rows, x, shape.height);
  if (columns) check_matrix("columns", *columns, x, shape.width);
  check_pooled_plane(kName, "the output", out_height, out_width);
  if (outer) {
    STD_TORCH_CHECK(rows && columns, kName, ": outer needs matrices for both axes");
    const int64_t count = out_height + shape.height + out_width + shape.width;
    STD_TORCH_CHECK(outer->dim() == 1 && outer->size(0) == count, kName, ": outer must hold ", count,
                    " numbers: p and q of the height, p and q of the width");
    check_values("outer", *outer, x);
    outer = as_contiguous(*outer);
  }
  if (rows) rows = as_contiguous(*rows);
  if (columns) columns = as_contiguous(*columns);

  const bool channels_last = is_channels_last(x);
  const bool by_lines = !rows && !channels_last;
  const Tensor source = in_layout(x, channels_last);
  const Tensor y = x.dim() < 2 ? new_strided(x, {out_width}, {1})
                               : new_planes(x, rows ? out_height : x.size(x.dim() - 2), out_width, channels_last);
  if (y.numel() == 0) return y;
  prefer_huge_pages_if_large(y);

  visit_compute_type(x, [&](auto zero) {
    using T = decltype(zero);
    Separable<T> op{};
    op.x = by_lines ? lines_in_planes(kName, source, shape.width) : pooled_images(kName, source, channels_last);
    op.y = by_lines ? lines_in_planes(kName, y, out_width) : pooled_images(kName, y, channels_last);
    run<T>(op, rows ? &*rows : nullptr, columns ? &*columns : nullptr, outer ? &*outer : nullptr, mirrored);
  });
  return y;
}

}  // namespace
}  // namespace freqops

STABLE_TORCH_LIBRARY_IMPL(freqops, CPU, m) { m.impl("separable", TORCH_BOX(&freqops::separable)); }
