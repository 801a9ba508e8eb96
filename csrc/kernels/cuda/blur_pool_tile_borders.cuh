// What the tiled adjoint adds at the borders: samples that padding shows at positions outside collect from the outputs
// that read those. Nearly always these are staged; the others (the far side of a circle) are read from memory.
#pragma once

#include "blur_pool_tile_memory.cuh"

namespace freqops::cuda {

template <class T>
class TileBorders {
 public:
  using Value = value_of<T>;

  FREQOPS_HOST_DEVICE TileBorders(const TileArguments& arguments, const TileMemory<Value>& memory)
      : arguments_(arguments), memory_(memory) {}

  // To the sums of a column in Rows staged rows.
  template <int Rows>
  FREQOPS_HOST_DEVICE void add_along(int column, int unit, int row, const Value* taps, const Value* from,
                                     Value (&sums)[Rows]) const {
    const TileArguments& a = arguments_;
    if (column >= a.w.results) return;
    const int origin = a.w.axis.first_output(memory_.place->column), step = a.staged_step;
    for_outputs(a.w.axis, column, [&](int output, int tap) {
      const int place = output - origin;
      static_for<Rows>([&](auto i) {
        Value value = 0;
        if (place >= 0 && place < a.w.sources) {
          value = from[i * a.staged_line + place * step];
        } else if (const int64_t down = memory_.rows[row + i]; down >= 0 && unit < memory_.place->units) {
          value = element(unit, down + output * a.from.column_stride * kSize);
        }
        sums[i] += taps[tap] * value;
      });
    });
  }

  // The sum for an element of the result, at `index` of a line.
  FREQOPS_HOST_DEVICE Value down(int row, int index) const {
    const TileArguments& a = arguments_;
    const TileColumn at(a, a.line_inner, index);
    const int unit = at.unit, column = memory_.place->column + at.place;
    const int origin = a.h.axis.first_output(memory_.place->row);
    const Value* taps = memory_.taps_h + unit * a.own_taps_h;
    Value sum = 0;
    for_outputs(a.h.axis, row, [&](int output, int tap) {
      const int place = output - origin;
      const bool staged = place >= 0 && place < a.h.sources;
      sum += taps[tap] * (staged ? memory_.scratch[place * a.line + index] : along(output, column, unit));
    });
    return sum;
  }

 private:
  static constexpr int kSize = sizeof(T);

  // All outputs that read a sample at a position outside, and the tap that they have there.
  template <class F>
  static FREQOPS_HOST_DEVICE void for_outputs(const AdjointAxis& axis, int sample, F&& f) {
    ShownAt at(axis, sample);
    for (at.next(); !at.done(); at.next()) for_outputs_at(axis, at.position(), f);
  }
  template <class F>
  static FREQOPS_HOST_DEVICE void for_outputs_at(const AdjointAxis& axis, int position, F&& f) {
    const int last = axis.last_output(position);
    FREQOPS_ONE_TURN
    for (int output = axis.first_output(position); output <= last; ++output) {
      f(output, position + axis.before - output * axis.stride);
    }
  }
  // A row of y that is not staged.
  FREQOPS_HOST_DEVICE Value along(int row, int column, int unit) const {
    const TileArguments& a = arguments_;
    const Value* taps = memory_.taps_w + unit * a.own_taps_w;
    Value sum = 0;
    const auto add = [&](int output, int tap) {
      sum += taps[tap] * element(unit, (row * a.from.row_stride + output * a.from.column_stride) * kSize);
    };
    for_outputs_at(a.w.axis, column, add);
    for_outputs(a.w.axis, column, add);
    return sum;
  }
  FREQOPS_HOST_DEVICE Value element(int unit, int64_t bytes) const {
    const char* from = memory_.place->from + unit * arguments_.from.channel_stride * kSize;
    return to_float(load_element(reinterpret_cast<const T*>(from + bytes)));
  }

  const TileArguments& arguments_;
  const TileMemory<Value>& memory_;
};

}  // namespace freqops::cuda
