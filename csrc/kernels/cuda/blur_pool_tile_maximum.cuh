// How the tiled form stages maxima instead of elements: first along the rows, from memory, then down the columns. Of
// values that stand where the maximum is, those of each row's first maximum (last NaN) go along with it.
//
// A window holds an element of the image, so where it reaches beyond, the nearest one is read again: the same one is
// found.
#pragma once

#include <type_traits>

#include "blur_pool_tile_memory.cuh"
#include "window_maximum.h"

namespace freqops::cuda {

template <class T, bool Select>
class TileMaximum {
 public:
  using Value = value_of<T>;

  FREQOPS_HOST_DEVICE TileMaximum(const TileArguments& arguments, const TileMemory<Value>& memory)
      : arguments_(arguments), memory_(memory) {}

  // Of the windows of every staged column, in all rows of x that the tile sees.
  FREQOPS_HOST_DEVICE void along(int thread) const {
    const TileArguments& a = arguments_;
    const TilePlace& place = *memory_.place;
    const int width = static_cast<int>(a.from.width), line = a.staged_line;
    for_groups<kMaximumRows>(thread, a.maximum_rows, line, [&](int row, int index) FREQOPS_INLINED {
      const TileColumn column(a, a.staged_inner, index);
      const auto source = static_cast<int>(memory_.columns[column.place]);
      if (source < 0 || column.unit >= place.units) return;
      const T* from = reinterpret_cast<const T*>(place.from) + column.unit * a.from.channel_stride;
      const int first = source - a.w.max.padding;
      const T* at[kMaximumRows];
      Value largest[kMaximumRows];
      int columns[kMaximumRows];
      static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
        columns[i] = clamped(first, width);
        at[i] = from + source_row(row + i) * a.from.row_stride;
        largest[i] = to_float(load_element(at[i] + columns[i] * a.from.column_stride));
      });
      FREQOPS_ONE_TURN
      for (int k = 1; k < a.w.max.window; ++k) {
        const int next = clamped(first + k, width);
        const int64_t offset = next * a.from.column_stride;
        static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
          take(to_float(load_element(at[i] + offset)), next, largest[i], columns[i]);
        });
      }
      Value* to = memory_.scratch + row * line + index;
      static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED { to[i * line] = largest[i]; });
      if constexpr (Select) {
        const T* values = reinterpret_cast<const T*>(place.values) + column.unit * a.values.channel_stride;
        to += a.maximum_rows * line;
        static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
          const int64_t offset = source_row(row + i) * a.values.row_stride + columns[i] * a.values.column_stride;
          to[i * line] = to_float(load_element(values + offset));
        });
      }
    });
  }

  // Of those, into the tile.
  FREQOPS_HOST_DEVICE void down(int thread) const {
    const TileArguments& a = arguments_;
    const int line = a.staged_line, second = a.maximum_rows * line;
    for_groups<kMaximumRows>(thread, a.staged_rows, line, [&](int row, int index) FREQOPS_INLINED {
      const TileColumn column(a, a.staged_inner, index);
      const bool exists = memory_.columns[column.place] >= 0 && column.unit < memory_.place->units;
      const Value* at[kMaximumRows];
      Value largest[kMaximumRows], results[kMaximumRows];
      static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
        const auto source = static_cast<int>(memory_.rows[row + i]);
        const int first = a.shared_rows ? source - memory_.place->lowest_row : (row + i) * a.h.max.window;
        at[i] = memory_.scratch + (source < 0 ? 0 : first) * line + index;
        largest[i] = *at[i];
        results[i] = Select ? at[i][second] : 0;
      });
      FREQOPS_ONE_TURN
      for (int k = 1; k < a.h.max.window; ++k) {
        static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
          at[i] += line;
          take(*at[i], Select ? at[i][second] : 0, largest[i], results[i]);
        });
      }
      Value* to = memory_.tile + row * line + index;
      static_for<kMaximumRows>([&](auto i) FREQOPS_INLINED {
        const Value result = Select ? results[i] : largest[i];
        to[i * line] = exists && memory_.rows[row + i] >= 0 ? result : 0;
      });
    });
  }

 private:
  // What a window holds next, and what goes along with it.
  template <class Along>
  static FREQOPS_HOST_DEVICE void take(Value value, Along next, Value& largest, Along& along) {
    if constexpr (!Select && std::is_same_v<Value, float>) {
      largest = maximum<float>(largest, value);  // one instruction
    } else {
      const bool other = replaces(value, largest);
      along = other ? next : along;
      largest = other ? value : largest;
    }
  }
  // The row of x for row i of the maxima along rows: those of all windows from the lowest on, or window after window.
  // Where there is none for it, any row: nothing comes of it.
  FREQOPS_HOST_DEVICE int64_t source_row(int i) const {
    const TileArguments& a = arguments_;
    const int height = static_cast<int>(a.from.height), before = a.h.max.padding;
    if (a.shared_rows) return clamped(memory_.place->lowest_row - before + i, height);
    const int window = clamped(i / a.h.max.window, a.h.sources);
    return clamped(static_cast<int>(memory_.rows[window]) - before + i - window * a.h.max.window, height);
  }

  const TileArguments& arguments_;
  const TileMemory<Value>& memory_;
};

}  // namespace freqops::cuda
