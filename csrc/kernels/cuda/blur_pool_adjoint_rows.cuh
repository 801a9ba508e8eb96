// Rows of the blur's adjoint, one after another, for stride 2 and few taps: what a thread keeps while it marches down.
//
// With p = row + before, rows p = 2 m and 2 m + 1 collect from outputs m, m - 1, ... with taps of one parity. So the
// last (taps + 1) / 2 rows of y, each already brought to this thread's columns, are all that is kept. Columns collect
// by the same rule. What borders add (positions outside that show a sample) is added where it occurs, value by value.
#pragma once

#include "blur_pool_adjoint_axis.h"
#include "stencil.cuh"

namespace freqops::cuda {

// A plane in memory from the first column on that a thread has to do with, one channel of it or a vector of them.
// Offsets in a plane fit 32 bits.
template <class T, bool AdjacentColumns>
struct PlaneView {
  T* data;
  int row_stride, column_stride;

  FREQOPS_HOST_DEVICE T* row(int row) const { return data + row * row_stride; }
  FREQOPS_HOST_DEVICE int offset(int column) const { return AdjacentColumns ? column : column * column_stride; }
  FREQOPS_HOST_DEVICE PlaneView from_column(int column) const {
    return {data + offset(column), row_stride, column_stride};
  }
};

template <class T, int Lanes>
FREQOPS_HOST_DEVICE Packed<T, Lanes> load_lanes(const T* from) {
  if constexpr (Lanes == 1) {
    return pack<T, 1>([&](auto) { return load_element(from); });
  } else {
    return load_aligned<T, Lanes>(from);
  }
}

struct AdjointRowsArguments {
  AdjointAxis h, w;
  ShownOnce rows, columns;
  const float *taps_h, *taps_w;
};

inline constexpr int kMostMarchedTaps = 5;

// Columns first .. first + Columns - 1, Lanes channels beside each other in each. Taps of 0: known at run time only.
template <class T, int Taps, int Columns, int Lanes, bool AdjacentColumns>
class AdjointRows {
 public:
  static constexpr int kTaps = Taps > 0 ? Taps : kMostMarchedTaps, kKept = (kTaps + 1) / 2;
  using Row = float[Columns][Lanes];

  using View = PlaneView<const T, AdjacentColumns>;

  FREQOPS_HOST_DEVICE AdjointRows(const AdjointRowsArguments& arguments, const View& y, int first)
      : arguments_(arguments),
        first_(first),
        first_output_(((first + arguments.w.before) >> 1) - (kKept - 1)),
        inner_(first >= arguments.columns.first && first + Columns <= arguments.columns.end),
        crossed_(first < 0 || first + Columns > arguments.w.size),
        y_(y.from_column(first_output_)) {
    static_for<kTaps>([&](auto j) {
      taps_h_[j] = has<decltype(j)::value>() ? load_element(arguments.taps_h + j) : 0.0f;
      taps_w_[j] = has<decltype(j)::value>() ? load_element(arguments.taps_w + j) : 0.0f;
    });
    static_for<kKept>([&](auto a) { clear(kept_[a]); });
    if (!inner_) list_terms();
  }

  // The next row of y. Rows beyond it are zeros.
  FREQOPS_HOST_DEVICE void take(int output) {
    static_for<kKept - 1>([&](auto a) { copy(kept_[kKept - 2 - a], kept_[kKept - 1 - a]); });
    gather_columns(output, kept_[0]);
  }

  // Row 2 m + Parity - before of the map, of which m was the last one taken.
  template <int Parity>
  FREQOPS_HOST_DEVICE void give(int row, Row& sum) const {
    static_for<kKept>([&](auto a) FREQOPS_INLINED {
      constexpr int kTap = Parity + 2 * decltype(a)::value;
      if constexpr (kTap < 2) {
        static_for<Columns>(
            [&](auto i) { static_for<Lanes>([&](auto lane) { sum[i][lane] = taps_h_[kTap] * kept_[a][i][lane]; }); });
      } else if constexpr (kTap < kTaps) {
        if (has<kTap>()) add(taps_h_[kTap], kept_[a], sum);
      }
    });
    if (!arguments_.rows.holds(row)) mend_row(row, sum);
  }

 private:
  // A row that is none gets zeros, another one what positions outside add to it. There are few such rows:
  // this is short, not fast.
  FREQOPS_HOST_DEVICE void mend_row(int row, Row& sum) const {
    if (row < 0 || row >= arguments_.h.size) {
      clear(sum);
      return;
    }
    Row outside;
    clear(outside);
    add_from_outside(row, outside);
    static_for<Columns>([&](auto i) { static_for<Lanes>([&](auto lane) { sum[i][lane] += outside[i][lane]; }); });
  }
  FREQOPS_HOST_DEVICE void add_from_outside(int row, Row& sum) const {
    const AdjointAxis h = axis(arguments_.h), w = axis(arguments_.w);
    ShownAt above(h, row);
    FREQOPS_ONE_TURN
    for (above.next(); !above.done(); above.next()) {
      const int last = h.last_output(above.position());
      FREQOPS_ONE_TURN
      for (int output = h.first_output(above.position()); output <= last; ++output) {
        const float tap = load_element(arguments_.taps_h + (above.position() + h.before - 2 * output));
        FREQOPS_ONE_TURN
        for (int i = 0; i < Columns; ++i) {
          const int column = first_ + i;
          if (column < 0 || column >= w.size) continue;
          float value[1][Lanes];
          clear(value);
          FREQOPS_ONE_TURN
          for (ShownAt at(w, column); !at.done(); at.next()) {
            gather_position(y_.row(output), at.position(), value);
            if (inner_) break;
          }
          static_for<Lanes>([&](auto lane) { sum[i][lane] += tap * value[0][lane]; });
        }
      }
    }
  }

  // Whether there is such a tap: there are 3 at least.
  template <int Tap>
  FREQOPS_HOST_DEVICE bool has() const {
    return Tap < 3 || (Taps > 0 ? Tap < Taps : Tap < arguments_.h.taps);
  }
  // The stride as a constant.
  static FREQOPS_HOST_DEVICE AdjointAxis axis(AdjointAxis axis) {
    axis.stride = 2;
    return axis;
  }

  static constexpr int kListed = 2;  // enough for padding of half the taps
  // Outputs that the columns read, whatever the parity of the first one.
  static constexpr int kOutputs = kKept + Columns / 2;
  using Outputs = float[kOutputs][Lanes];

  template <int N>
  static FREQOPS_HOST_DEVICE void clear(float (&row)[N][Lanes]) {
    static_for<N>([&](auto i) { static_for<Lanes>([&](auto lane) { row[i][lane] = 0.0f; }); });
  }
  static FREQOPS_HOST_DEVICE void copy(const Row& from, Row& to) {
    static_for<Columns>([&](auto i) { static_for<Lanes>([&](auto lane) { to[i][lane] = from[i][lane]; }); });
  }
  static FREQOPS_HOST_DEVICE void add(float tap, const Row& row, Row& sum) {
    static_for<Columns>([&](auto i) { static_for<Lanes>([&](auto lane) { sum[i][lane] += tap * row[i][lane]; }); });
  }

  FREQOPS_HOST_DEVICE void gather_columns(int output_row, Row& row) const {
    const int last = arguments_.h.outputs - 1;
    const T* from = y_.row(output_row < 0 ? 0 : output_row < last ? output_row : last);
    Outputs outputs;
    static_for<kOutputs>([&](auto i) FREQOPS_INLINED {
      const int output = first_output_ + i;
      load(output >= 0 && output < arguments_.w.outputs, from, i, outputs[i]);
    });
    if ((first_ + arguments_.w.before) & 1) {
      blur<1>(outputs, row);
    } else {
      blur<0>(outputs, row);
    }
    if (!inner_) mend_columns(from, row);
    if (output_row < 0 || output_row > last) clear(row);
  }

  template <int Parity>
  FREQOPS_HOST_DEVICE void blur(const Outputs& outputs, Row& row) const {
    static_for<Columns>([&](auto i) FREQOPS_INLINED {
      constexpr int kPlace = decltype(i)::value + Parity;
      static_for<kKept>([&](auto a) FREQOPS_INLINED {
        constexpr int kTap = kPlace % 2 + 2 * decltype(a)::value;
        constexpr int kOutput = kKept - 1 + kPlace / 2 - decltype(a)::value;
        static_for<Lanes>([&](auto lane) {
          if constexpr (kTap < 2) row[i][lane] = taps_w_[kTap] * outputs[kOutput][lane];
          if constexpr (kTap >= 2 && kTap < kTaps) {
            if (has<kTap>()) row[i][lane] += taps_w_[kTap] * outputs[kOutput][lane];
          }
        });
      });
    });
  }

  // As mend_row, but nearly every warp has such columns, in every row: what is added is listed beforehand,
  // term by term.
  FREQOPS_HOST_DEVICE void mend_columns(const T* from, Row& row) const {
    if (crossed_) {
      static_for<Columns>([&](auto i) {
        const int column = first_ + i;
        if (column < 0 || column >= arguments_.w.size) static_for<Lanes>([&](auto lane) { row[i][lane] = 0.0f; });
      });
    }
    if (terms_ > kListed) {
      for_each_term([&](int column, int output, int tap) { add_term(from + y_.offset(output), column, tap, row); });
    } else {
      static_for<kListed>([&](auto e) {
        if (terms_ > e) add_term(from + listed_outputs_[e], listed_[e] & 0xffff, listed_[e] >> 16, row);
      });
    }
  }
  FREQOPS_HOST_DEVICE void list_terms() {
    for_each_term([&](int column, int output, int tap) {
      static_for<kListed>([&](auto e) {
        if (terms_ != e) return;
        listed_outputs_[e] = y_.offset(output);
        listed_[e] = tap << 16 | column;
      });
      ++terms_;
    });
  }
  // Calls f(column, output, tap), column and output as places in a row, for what positions outside add.
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_term(F&& f) const {
    const AdjointAxis w = axis(arguments_.w);
    if (w.mode == PaddingMode::kZeros) return;
    const int end = w.end();
    FREQOPS_ONE_TURN
    for (int q = w.first() < 0 ? w.first() : w.size; q < end; q = q == -1 ? w.size : q + 1) {
      const int column = sample_shown_at(w, q) - first_;
      if (column < 0 || column >= Columns) continue;
      const int last = w.last_output(q);
      FREQOPS_ONE_TURN
      for (int output = w.first_output(q); output <= last; ++output) {
        f(column, output - first_output_, q + w.before - 2 * output);
      }
    }
  }
  FREQOPS_HOST_DEVICE void add_term(const T* output, int column, int tap_number, Row& row) const {
    const float tap = load_element(arguments_.taps_w + tap_number);
    float value[Lanes];
    widen(load_lanes<T, Lanes>(output), value);
    static_for<Columns>([&](auto i) {
      if (column == i) static_for<Lanes>([&](auto lane) { row[i][lane] += tap * value[lane]; });
    });
  }
  FREQOPS_HOST_DEVICE void gather_position(const T* from, int q, float (&value)[1][Lanes]) const {
    const AdjointAxis w = axis(arguments_.w);
    const int last = w.last_output(q);
    FREQOPS_ONE_TURN
    for (int output = w.first_output(q); output <= last; ++output) {
      float element[Lanes];
      load(true, from, output - first_output_, element);
      const float tap = load_element(arguments_.taps_w + (q + w.before - 2 * output));
      static_for<Lanes>([&](auto lane) { value[0][lane] += tap * element[lane]; });
    }
  }

  // An output of a row, counted from first_output_; or zeros.
  FREQOPS_HOST_DEVICE void load(bool exists, const T* row, int place, float (&values)[Lanes]) const {
    auto packed = zeros<T, Lanes>();
    if (exists) packed = load_lanes<T, Lanes>(row + y_.offset(place));
    widen(packed, values);
  }

  const AdjointRowsArguments& arguments_;
  int first_, first_output_;
  bool inner_, crossed_;
  int terms_ = 0, listed_[kListed] = {}, listed_outputs_[kListed] = {};
  View y_;
  float taps_h_[kTaps], taps_w_[kTaps];
  Row kept_[kKept];
};

}  // namespace freqops::cuda
