// Columns of the stencil form in NCHW.
#pragma once

#include "blur_pool_columns.cuh"

namespace freqops::cuda {

// NCHW: `Outputs` neighbouring outputs of a row. Where a row has no multiple of these, its last thread
// moves left and computes a few that its neighbour computes as well.
//
// Aligned rows, of whole vectors and with the usual padding, are those that matter: a thread reads whole
// vectors and a known number of elements around them, of which the first or last thread has none, and
// padding mostly is a maximum that the thread has.
template <class T, int Taps, int Window, int Outputs, bool Aligned>
class PlaneColumns {
 public:
  using Element = T;
  static constexpr int kTaps = Taps, kWindow = Window, kSums = Outputs;
  static constexpr int kBlocksPerSm = Taps == 5 || Taps * Window > (Outputs > 4 ? 6 : 8) ? 4 : 6;
  static constexpr bool kBothRows = true;
  static constexpr int kMaxima = 2 * Outputs + Taps - 2, kLoaded = kMaxima + Window - 1;
  // The usual padding, of the maximum and before and behind the blur.
  static constexpr int kMaxPadding = Window == 3 ? 1 : 0, kUsualBefore = (Taps - 1) / 2;
  static constexpr int kUsualAfter = Taps - 2 - kUsualBefore + (Window == 2 ? 1 : 0);
  // Maxima that may be padding at either end of a row; in aligned rows, those that are.
  static constexpr int kLeft = Aligned ? kUsualBefore : Taps / 2, kRight = Aligned ? kUsualAfter : Taps / 2;
  using Maxima = Packed<T, kMaxima>;

  FREQOPS_HOST_DEVICE PlaneColumns(const StencilArguments& arguments, const StripPlace& place) : arguments_(arguments) {
    const int last_output = arguments.w.outputs - Outputs, wanted = place.group * Outputs;
    const int output = wanted < last_output ? wanted : last_output, map_first = 2 * output - arguments.w.before;
    x_ = static_cast<const T*>(arguments.x) + place.plane * arguments.x_plane + (Aligned ? 2 * output : 0);
    y_ = static_cast<T*>(arguments.y) + place.plane * arguments.y_plane + output;
    if constexpr (Aligned) {
      at_left_ = output == 0;
      at_right_ = output == last_output;
    } else {
      at_left_ = map_first < 0;
      at_right_ = map_first + kMaxima > arguments.w.size;
      first_ = map_first - arguments.max_padding_w;
      static_for<kLeft + kRight>([&](auto i) { beside_[i] = source_beside(arguments.w, map_first + entry_beside(i)); });
    }
    load_taps(arguments.taps_w, taps_);
  }

  FREQOPS_HOST_DEVICE void row(int r, Maxima& maxima) const {
    const int one[1] = {r};
    Maxima of_one[1];
    rows(one, of_one);
    maxima = of_one[0];
  }
  template <int Rows>
  FREQOPS_HOST_DEVICE void rows(const int (&r)[Rows], Maxima (&maxima)[Rows]) const {
    const T* from[Rows];
    static_for<Rows>([&](auto i) { from[i] = x_ + static_cast<int64_t>(r[i]) * arguments_.x_row; });
    if constexpr (Aligned) {
      Loaded loaded[Rows];
      static_for<Rows>([&](auto i) { loaded[i] = load_vectors(from[i]); });
      static_for<Rows>([&](auto i) { maxima[i] = along(loaded[i]); });
    } else if (first_ >= 0 && first_ + kLoaded <= arguments_.width) {
      Loaded loaded[Rows];
      static_for<Rows>([&](auto i) { loaded[i] = load_all(from[i] + first_); });
      static_for<Rows>([&](auto i) { maxima[i] = along(loaded[i]); });
    } else {
      static_for<Rows>([&](auto i) { maxima[i] = along(load_checked(from[i] + first_)); });
    }
    static_for<Rows>([&](auto i) { mend(maxima[i], from[i]); });
  }

  FREQOPS_HOST_DEVICE void blur(const Maxima& maxima, float (&sums)[kSums]) const {
    static_for<Outputs>([&](auto o) {
      constexpr int kFirst = 2 * decltype(o)::value;
      sums[o] = taps_[0] * value_at<kFirst>(maxima);
      static_for<Taps - 1>([&](auto i) {
        constexpr int kTap = decltype(i)::value + 1;
        sums[o] += taps_[kTap] * value_at<kFirst + kTap>(maxima);
      });
    });
  }

  FREQOPS_HOST_DEVICE void store(int r, const float (&sums)[kSums]) const {
    constexpr int kBytes = Outputs * static_cast<int>(sizeof(T)), kWhole = kBytes < 16 ? kBytes : 16;
    T* to = y_ + static_cast<int64_t>(r) * arguments_.y_row;
    if (Aligned && arguments_.store_bytes >= kWhole) {
      store_aligned<T>(to, sums);
    } else if (Aligned && arguments_.store_bytes >= kWhole / 2) {
      static_for<2>([&](auto half) {
        float values[Outputs / 2];
        static_for<Outputs / 2>([&](auto i) { values[i] = sums[half * (Outputs / 2) + i]; });
        store_aligned<T>(to + half * (Outputs / 2), values);
      });
    } else {
      static_for<Outputs>([&](auto o) { store_value(to + o, sums[o]); });
    }
  }

 private:
  static constexpr int kBefore = kUsualBefore + kMaxPadding;  // in aligned rows, elements before the vectors
  // Elements of a row in pairs as they lie in memory: the first vector starts on an even place.
  static constexpr int kSkipped = Aligned && ElementTraits<T>::kPerWord == 2 ? kBefore % 2 : 0;
  using Loaded = Packed<T, kLoaded + kSkipped>;

  static FREQOPS_CONSTEXPR int entry_beside(int i) { return i < kLeft ? i : kMaxima - kLeft - kRight + i; }

  FREQOPS_HOST_DEVICE Loaded load_all(const T* from) const {
    return pack<T, kLoaded>([&](auto i) { return load_element(from + i); });
  }
  // Where the row has no such element the maximum must not see it.
  FREQOPS_HOST_DEVICE Loaded load_checked(const T* from) const {
    return pack<T, kLoaded>([&](auto i) {
      const unsigned column = static_cast<unsigned>(first_ + i), width = static_cast<unsigned>(arguments_.width);
      return column < width ? load_element(from + i) : lowest<T>();
    });
  }
  // `from` is the first vector.
  FREQOPS_HOST_DEVICE Loaded load_vectors(const T* from) const {
    constexpr int kPerWord = ElementTraits<T>::kPerWord, kFirst = (kBefore + kSkipped) / kPerWord;
    using Vectors = Packed<T, 2 * Outputs>;
    const auto vectors = load_aligned<T, 2 * Outputs>(from);
    Loaded loaded;
    static_for<Loaded::kWords>([&](auto i) {
      constexpr int kWord = decltype(i)::value, kPlace = kWord * kPerWord - kBefore - kSkipped;
      if constexpr (kWord >= kFirst && kWord < kFirst + Vectors::kWords) {
        loaded.words[kWord] = vectors.words[kWord - kFirst];
      } else {
        loaded.words[kWord] = word_from<T>(around<kPlace>(from), around<kPlace + kPerWord - 1>(from));
      }
    });
    return loaded;
  }
  template <int Place>
  FREQOPS_HOST_DEVICE T around(const T* from) const {
    if constexpr (Place < -kBefore || Place >= kLoaded - kBefore) return lowest<T>();
    return (Place < 0 ? at_left_ : at_right_) ? lowest<T>() : load_element(from + Place);
  }

  // The elements at I and, for a half type, I + 1.
  template <int I>
  static FREQOPS_HOST_DEVICE word_of<T> word_at(const Loaded& loaded) {
    constexpr int kPerWord = ElementTraits<T>::kPerWord, kPlace = I + kSkipped, kWord = kPlace / kPerWord;
    if constexpr (kPlace % kPerWord == 0) {
      return loaded.words[kWord];
    } else {
      return between<T>(loaded.words[kWord], loaded.words[kWord + 1 < Loaded::kWords ? kWord + 1 : kWord]);
    }
  }
  static FREQOPS_HOST_DEVICE Maxima along(const Loaded& loaded) {
    Maxima maxima;
    static_for<Maxima::kWords>([&](auto i) {
      constexpr int kFirst = decltype(i)::value * ElementTraits<T>::kPerWord;
      maxima.words[i] = word_at<kFirst>(loaded);
      static_for<Window - 1>([&](auto j) {
        constexpr int kNext = kFirst + decltype(j)::value + 1;
        maxima.words[i] = maximum<T>(maxima.words[i], word_at<kNext>(loaded));
      });
    });
    return maxima;
  }

  // Replaces the maxima that are padding.
  FREQOPS_HOST_DEVICE void mend(Maxima& maxima, const T* from) const {
    if (!(at_left_ || at_right_)) return;
    static_for<kLeft + kRight>([&](auto i) {
      constexpr int kEntry = entry_beside(decltype(i)::value);
      if constexpr (Aligned) {
        if (kEntry < kLeft ? at_left_ : at_right_) mend_usual<kEntry>(maxima, from);
      } else {
        if (beside_[i] == kZero) set_element<kEntry>(maxima, zero<T>());
        if (beside_[i] >= 0) set_element<kEntry>(maxima, maximum_at(from, beside_[i]));
      }
    });
  }
  template <int Entry>
  FREQOPS_HOST_DEVICE void mend_usual(Maxima& maxima, const T* from) const {
    constexpr int kFirst = kLeft, kLast = kMaxima - kRight - 1;  // that are none
    constexpr bool kIsLeft = Entry < kLeft;
    switch (arguments_.w.mode) {
      case PaddingMode::kReflect:
        return copy_element<Entry, 2 * (kIsLeft ? kFirst : kLast) - Entry>(maxima);
      case PaddingMode::kReplicate:
        return copy_element<Entry, kIsLeft ? kFirst : kLast>(maxima);
      case PaddingMode::kZeros:
        return set_element<Entry>(maxima, zero<T>());
      default:
        return set_element<Entry>(maxima, maximum_around<Entry>(from));
    }
  }
  // At the other end of the row.
  template <int Entry>
  FREQOPS_HOST_DEVICE T maximum_around(const T* from) const {
    constexpr int kBehind = Entry - (kMaxima - kRight);
    const T* row = at_left_ ? from : from - (arguments_.width - 2 * Outputs);
    return maximum_at(row, Entry < kLeft ? arguments_.w.size + Entry - kLeft : kBehind);
  }
  FREQOPS_HOST_DEVICE T maximum_at(const T* from, int column) const {
    word_of<T> largest = word_from<T>(lowest<T>(), lowest<T>());
    static_for<Window>([&](auto j) {
      const T element = load_element(from + clamped(column - arguments_.max_padding_w + j, arguments_.width));
      largest = maximum<T>(largest, word_from<T>(element, element));
    });
    return element_in<T, 0>(largest);
  }

  const StencilArguments& arguments_;
  const T* x_;  // of the plane; in aligned rows, of the thread's vectors
  T* y_;
  bool at_left_, at_right_;  // whether some of the maxima are padding
  // Of rows that are not aligned: the first column of x, and where padding is read from.
  int first_, beside_[kLeft + kRight];
  float taps_[Taps];
};

}  // namespace freqops::cuda
