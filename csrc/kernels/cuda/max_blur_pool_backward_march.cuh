// The adjoint of max_blur_pool, and with a window of one that of blur_pool, for stride 2 and few taps.
//
// A thread owns some columns of the result and marches down its rows. For every row of the map of maxima it
// has the blur's adjoint (blur_pool_adjoint_rows.cuh), finds where each window's maximum is, and hands the
// value there. That is done one axis at a time: among the rows of a window, the one with the first largest
// winner takes the value; what a row was handed by all windows is summed, and each sum goes to the winner in
// its row, which is the same for every window that the row is in. Windows that neighbouring threads need as
// well are worked out by both: nothing is exchanged and nothing is stored but the result.
#pragma once

#include "blur_pool_adjoint_rows.cuh"
#include "window_maximum.h"

namespace freqops::cuda {

struct BackwardArguments {
  Images x, y, v;  // v is the result
  AdjointRowsArguments blur;
  MaxAxis max_h, max_w;
  Strips strips;
  bool channels_per_plane;  // all of an image's channels lie beside each other, in so many groups
  int channel_groups;       // 1 otherwise
};

template <class T, int Taps, int Window, int Columns, int Lanes>
class BackwardMarch {
 public:
  FREQOPS_HOST_DEVICE BackwardMarch(const BackwardArguments& arguments, const StripPlace& place)
      : arguments_(arguments),
        first_column_(place.group / arguments.channel_groups * Columns),
        x_(view<const T>(arguments.x, place).from_column(first_column_)),
        v_(view<T>(arguments.v, place).from_column(first_column_)),
        rows_(arguments.blur, view<const T>(arguments.y, place),
              first_column_ + arguments.max_w.padding - (Window - 1)) {}

  // Rows first .. end - 1 of the result.
  FREQOPS_HOST_DEVICE void run(int first, int end) {
    const AdjointAxis& h = arguments_.blur.h;
    const int padding = arguments_.max_h.padding;
    // The first window that has a part in the first row, and before it as many as fill the history of rows.
    const int before = first + padding - 2 * (Window - 1) + h.before, after = end - 1 + padding + h.before;
    const int from = before >> 1, to = after >> 1;
    for (int m = from - (Kept::kKept - 1); m <= to; ++m) {
      const int window = 2 * m - h.before;
      rows_.take(m);
      if (m < from) continue;
      static_for<2>([&](auto d) {
        SourceRow sources;
        if constexpr (Window > 1) load_row(window + d - padding + Window - 1, sources);
        WindowRow given;
        rows_.template give<decltype(d)::value>(window + d, given);
        step(window + d - padding, sources, given, first, end);
      });
    }
  }

 private:
  static constexpr int kWindows = Columns + Window - 1, kSources = kWindows + Window - 1, kHistory = Window - 1;
  static constexpr int kSomeHistory = kHistory > 0 ? kHistory : 1;  // no array of length 0
  // What is read and written at once: lanes, or a vector of a row, or a single element (see MaxBlurPoolBackward).
  static constexpr bool kAdjacent = Lanes == 1 && Taps > 0;
  static constexpr int kVector = kAdjacent ? kVectorElements<T> : Lanes;
  template <class Element>
  using View = PlaneView<Element, kAdjacent>;
  using Kept = AdjointRows<T, Taps, kWindows, Lanes, kAdjacent>;
  using WindowRow = float[kWindows][Lanes];
  using SourceRow = float[kSources][Lanes];

  template <class Element>
  FREQOPS_HOST_DEVICE View<Element> view(const Images& images, const StripPlace& place) const {
    const int groups = arguments_.channel_groups;
    int64_t offset;
    if (arguments_.channels_per_plane) {
      offset = place.plane * images.batch_stride + int64_t{place.group % groups} * Lanes * images.channel_stride;
    } else {
      const int64_t image = place.plane / images.channels;
      offset = image * images.batch_stride + (place.plane - image * images.channels) * images.channel_stride;
    }
    return {static_cast<Element*>(images.data) + offset, static_cast<int>(images.row_stride),
            static_cast<int>(images.column_stride)};
  }

  // Columns first_column_ - (Window - 1) and on; -inf outside.
  FREQOPS_HOST_DEVICE void load_row(int row, SourceRow& sources) const {
    const int last = static_cast<int>(arguments_.x.height) - 1;
    const T* from = x_.row(row < 0 ? 0 : row < last ? row : last);
    if constexpr (kAdjacent) {
      static_for<Columns / kVector>([&](auto piece) FREQOPS_INLINED {
        constexpr int kFirst = decltype(piece)::value * kVector;
        auto packed = pack<T, kVector>([](auto) { return lowest<T>(); });
        if (kFirst == 0 || is_column(first_column_ + kFirst)) packed = load_aligned<T, kVector>(from + kFirst);
        static_for<kVector>([&](auto i) { sources[kHistory + kFirst + i][0] = value_at<decltype(i)::value>(packed); });
      });
      static_for<kHistory>([&](auto i) {
        load_source(from, i, sources);
        load_source(from, Index<kHistory + Columns + decltype(i)::value>{}, sources);
      });
    } else {
      static_for<kSources>([&](auto i) { load_source(from, i, sources); });
    }
    if (row < 0 || row > last) {
      static_for<kSources>(
          [&](auto i) { static_for<Lanes>([&](auto lane) { sources[i][lane] = to_float(lowest<float>()); }); });
    }
  }
  template <int I>
  FREQOPS_HOST_DEVICE void load_source(const T* row, Index<I>, SourceRow& sources) const {
    const int column = first_column_ - kHistory + I;
    auto packed = pack<T, Lanes>([](auto) { return lowest<T>(); });
    if (column >= 0 && is_column(column)) packed = load_lanes<T, Lanes>(row + x_.offset(I - kHistory));
    widen(packed, sources[I]);
  }
  FREQOPS_HOST_DEVICE bool is_column(int column) const { return column < static_cast<int>(arguments_.x.width); }

  // The window whose first row is `top` is complete with `sources`, its last row, and so is row `top` of the result.
  FREQOPS_HOST_DEVICE void step(int top, const SourceRow& sources, const WindowRow& given, int first, int end) {
    const bool wanted = top >= first && top < end;
    if constexpr (Window == 1) {
      store(wanted, top, given);
    } else {
      WindowRow largest, handed[Window];
      const uint32_t choices = find_row_maxima(sources, largest);
      hand_to_rows<false>(largest, given, handed);
      if (top < 0) hand_to_rows<true>(largest, given, handed);
      static_for<kHistory>([&](auto e) { add_to(sums_[e], handed[e]); });
      float result[Columns][Lanes];
      hand_to_columns(sums_[0], choices_[0], result);
      append(handed[kHistory], sums_);
      append(largest, largest_);
      static_for<kHistory - 1>([&](auto e) { choices_[e] = choices_[e + 1]; });
      choices_[kHistory - 1] = choices;
      store(wanted, top, result);
    }
  }
  // The oldest row makes place for the newest.
  template <int N>
  static FREQOPS_HOST_DEVICE void append(const float (&row)[N][Lanes], float (&history)[kSomeHistory][N][Lanes]) {
    static_for<N>([&](auto i) {
      static_for<Lanes>([&](auto lane) {
        static_for<kSomeHistory - 1>([&](auto e) { history[e][i][lane] = history[e + 1][i][lane]; });
        history[kSomeHistory - 1][i][lane] = row[i][lane];
      });
    });
  }
  static FREQOPS_HOST_DEVICE void add_to(WindowRow& sum, const WindowRow& row) {
    static_for<kWindows>([&](auto i) { static_for<Lanes>([&](auto lane) { sum[i][lane] += row[i][lane]; }); });
  }

  // A bit for every element of a window's row but the first: whether it is larger than all before it.
  static FREQOPS_CONSTEXPR uint32_t choice(int window, int lane, int element) {
    return 1u << ((window * Lanes + lane) * kHistory + element - 1);
  }
  FREQOPS_HOST_DEVICE uint32_t find_row_maxima(const SourceRow& sources, WindowRow& largest) const {
    static_assert(kWindows * Lanes * kHistory <= 32);
    uint32_t choices = 0;
    static_for<kWindows>([&](auto i) FREQOPS_INLINED {
      static_for<Lanes>([&](auto lane) FREQOPS_INLINED {
        float best = sources[i][lane];
        static_for<kHistory>([&](auto e) FREQOPS_INLINED {
          constexpr int kPlace = decltype(e)::value + 1, kBefore = decltype(i)::value + kPlace - 1;
          bool other = replaces(sources[i + kPlace][lane], best);
          // What stands before the first column is never the maximum, not even of a row that is -inf.
          if constexpr (kBefore < kHistory) other |= first_column_ - kHistory + kBefore < 0;
          if (other) choices |= choice(decltype(i)::value, decltype(lane)::value, kPlace);
          best = other ? sources[i + kPlace][lane] : best;
        });
        largest[i][lane] = best;
      });
    });
    return choices;
  }
  // Among the rows of a window: the values of windows go to one of them.
  template <bool FirstIsOutside>
  FREQOPS_HOST_DEVICE void hand_to_rows(const WindowRow& largest, const WindowRow& given,
                                        WindowRow (&handed)[Window]) const {
    static_for<kWindows>([&](auto i) FREQOPS_INLINED {
      static_for<Lanes>([&](auto lane) FREQOPS_INLINED {
        bool other[kHistory];
        float best = largest_[0][i][lane];
        static_for<kHistory>([&](auto e) FREQOPS_INLINED {
          constexpr int kNext = decltype(e)::value + 1;
          const float next = kNext < kHistory ? largest_[kNext % kHistory][i][lane] : largest[i][lane];
          other[e] = replaces(next, best);
          if constexpr (kNext == 1 && FirstIsOutside) other[e] = true;
          best = other[e] ? next : best;
        });
        float rest = given[i][lane];
        static_for<kHistory>([&](auto e) FREQOPS_INLINED {
          constexpr int kLast = kHistory - decltype(e)::value;
          handed[kLast][i][lane] = other[kLast - 1] ? rest : 0.0f;
          rest = other[kLast - 1] ? 0.0f : rest;
        });
        handed[0][i][lane] = rest;
      });
    });
  }
  // Among the columns of a row of a window.
  FREQOPS_HOST_DEVICE void hand_to_columns(const WindowRow& sums, uint32_t choices,
                                           float (&result)[Columns][Lanes]) const {
    static_for<kWindows>([&](auto i) FREQOPS_INLINED {
      static_for<Lanes>([&](auto lane) FREQOPS_INLINED {
        constexpr int kWindow = decltype(i)::value, kLane = decltype(lane)::value;
        float rest = sums[i][lane];
        static_for<Window>([&](auto e) FREQOPS_INLINED {
          constexpr int kPlace = kHistory - decltype(e)::value, kColumn = kWindow - kHistory + kPlace;
          float here = rest;
          if constexpr (kPlace > 0) split<choice(kWindow, kLane, kPlace)>(choices, here, rest);
          // The first window that a column is in has it as its last one.
          if constexpr (kColumn >= 0 && kColumn < Columns) {
            result[kColumn][lane] = kPlace == kHistory ? here : result[kColumn][lane] + here;
          }
        });
      });
    });
  }
  // A value stays `here` if the bit is set, else it is `elsewhere`; the other one is zero.
  template <uint32_t Bit>
  static FREQOPS_HOST_DEVICE void split(uint32_t bits, float& here, float& elsewhere) {
#if defined(__CUDA_ARCH__)
    // One test for the bit, where the compiler would shift, mask and compare.
    asm("{\n .reg .pred p;\n .reg .b32 t;\n and.b32 t, %2, %3;\n setp.ne.u32 p, t, 0;\n"
        " selp.f32 %1, 0f00000000, %1, p;\n selp.f32 %0, %0, 0f00000000, p;\n}"
        : "+f"(here), "+f"(elsewhere)
        : "r"(bits), "n"(Bit));
#else
    (bits & Bit ? elsewhere : here) = 0.0f;
#endif
  }

  FREQOPS_HOST_DEVICE void store(bool wanted, int row, const float (&result)[Columns][Lanes]) const {
    T* to = v_.row(row);
    static_for<Columns * Lanes / kVector>([&](auto piece) FREQOPS_INLINED {
      constexpr int kFirst = decltype(piece)::value * kVector, kColumn = kFirst / Lanes;
      if (!wanted || (kColumn > 0 && !is_column(first_column_ + kColumn))) return;
      if constexpr (kVector == 1) {
        store_value(to + v_.offset(kColumn), result[kColumn][0]);
      } else {
        float values[kVector];
        static_for<kVector>([&](auto i) { values[i] = result[(kFirst + i) / Lanes][(kFirst + i) % Lanes]; });
        store_aligned<T, kVector>(to + v_.offset(kColumn), values);
      }
    });
  }

  const BackwardArguments& arguments_;
  int first_column_;
  View<const T> x_;
  View<T> v_;
  Kept rows_;
  // Of the last rows: maxima of each window's row and where they are, and what windows have handed to it so far.
  WindowRow largest_[kSomeHistory] = {}, sums_[kSomeHistory] = {};
  uint32_t choices_[kSomeHistory] = {};
};

// Three ways to share a plane among threads: Columns of a row whose vectors are aligned (one lane); in NHWC,
// Columns of as many channels as there are Lanes; and what is not aligned, Columns of one lane element by
// element (Taps of 0: known at run time only).
template <class T, int Taps, int Window, int Columns, int Lanes>
struct MaxBlurPoolBackward {
  static constexpr int kThreads = 128, kSharedBytes = 0, kClusterBlocks = 1;
  static constexpr int kBlocksPerSm = Window == 1 ? 5 : 6 - Window - (Lanes > 1);
  using Arguments = BackwardArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      constexpr int kParts = kStripThreads / kThreads;
      const StripPlace place(arguments.strips, index / kParts, static_cast<int>(index % kParts) * kThreads + thread);
      if (!place.exists) return;
      BackwardMarch<T, Taps, Window, Columns, Lanes>(arguments, place).run(place.first, place.end);
    });
  }
};

}  // namespace freqops::cuda
