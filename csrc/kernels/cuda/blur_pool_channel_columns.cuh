// Columns of the stencil form in NHWC.
#pragma once

#include "blur_pool_columns.cuh"

namespace freqops::cuda {

// Channels of a thread. What it keeps of the rows above grows with the window: 16 bytes of channels leave
// no registers for the largest.
template <class T, int Taps, int Window>
inline constexpr int kChannelVector = (Taps * Window > 8 ? 8 : 16) / static_cast<int>(sizeof(T));

// As many blocks as leave registers enough on every architecture.
FREQOPS_CONSTEXPR int channel_blocks(int taps, int window, int channels, bool is_float) {
  if (window == 1 ? taps < 5 : window == 2 && channels == 1) return is_float ? 5 : 6;
  const bool most = channels > 1 && ((taps == 4 && window == 2) || (taps == 5 && window == 3));
  return most ? 3 : 4;
}

// NHWC: `Channels` channels of one output, a vector of them or one.
template <class T, int Taps, int Window, int Channels>
class ChannelColumns {
 public:
  using Element = T;
  static constexpr int kTaps = Taps, kWindow = Window, kSums = Channels;
  static constexpr int kBlocksPerSm = channel_blocks(Taps, Window, Channels, sizeof(T) == 4);
  static constexpr bool kBothRows = false;
  static constexpr int kPerWord = ElementTraits<T>::kPerWord, kWords = (Channels + kPerWord - 1) / kPerWord;
  using Maxima = Packed<T, Taps * kWords * kPerWord>;

  FREQOPS_HOST_DEVICE ChannelColumns(const StencilArguments& arguments, const StripPlace& place)
      : arguments_(arguments) {
    const int vectors = arguments.channels / Channels, output = place.group / vectors;
    const int channel = (place.group - output * vectors) * Channels, map_first = 2 * output - arguments.w.before;
    first_ = map_first - arguments.max_padding_w;
    x_ = static_cast<const T*>(arguments.x) + place.plane * arguments.x_plane + channel;
    y_ = static_cast<T*>(arguments.y) + place.plane * arguments.y_plane +
         static_cast<int64_t>(output) * arguments.channels + channel;
    static_for<Taps>([&](auto i) { sources_[i] = arguments.w.source(map_first + i); });
    inside_ = map_first >= 0 && map_first + Taps <= arguments.w.size && first_ >= 0 &&
              first_ + Taps + Window - 1 <= arguments.width;
    load_taps(arguments.taps_w, taps_);
  }

  FREQOPS_HOST_DEVICE void row(int r, Maxima& maxima) const {
    const T* from = x_ + static_cast<int64_t>(r) * arguments_.x_row;
    if (inside_) {
      Vectors loaded[Taps + Window - 1];
      static_for<Taps + Window - 1>([&](auto i) { loaded[i] = load(from, first_ + i); });
      static_for<Taps>([&](auto i) {
        Vectors largest = loaded[i];
        static_for<Window - 1>([&](auto j) { largest = maximum(largest, loaded[i + j + 1]); });
        set(maxima, i, largest);
      });
    } else {
      static_for<Taps>([&](auto i) { set(maxima, i, maximum_at(from, sources_[i])); });
    }
  }

  FREQOPS_HOST_DEVICE void blur(const Maxima& maxima, float (&sums)[kSums]) const {
    static_for<Channels>([&](auto channel) {
      constexpr int kFirst = decltype(channel)::value;
      sums[channel] = taps_[0] * value_at<kFirst>(maxima);
      static_for<Taps - 1>([&](auto i) {
        constexpr int kTap = decltype(i)::value + 1;
        sums[channel] += taps_[kTap] * value_at<kTap * kWords * kPerWord + kFirst>(maxima);
      });
    });
  }

  FREQOPS_HOST_DEVICE void store(int r, const float (&sums)[kSums]) const {
    T* to = y_ + static_cast<int64_t>(r) * arguments_.y_row;
    if constexpr (Channels == 1) {
      store_value(to, sums[0]);
    } else {
      store_aligned<T>(to, sums);
    }
  }

 private:
  using Vectors = Packed<T, Channels>;

  static FREQOPS_HOST_DEVICE void set(Maxima& maxima, int entry, const Vectors& vectors) {
    static_for<kWords>([&](auto i) { maxima.words[entry * kWords + i] = vectors.words[i]; });
  }
  FREQOPS_HOST_DEVICE Vectors load(const T* from, int column) const {
    const T* place = from + static_cast<int64_t>(column) * arguments_.channels;
    if constexpr (Channels == 1) {
      return pack<T, 1>([&](auto) { return load_element(place); });
    } else {
      return load_aligned<T, Channels>(place);
    }
  }
  FREQOPS_HOST_DEVICE Vectors maximum_at(const T* from, int source) const {
    if (source == kZero) return zeros<T, Channels>();
    Vectors largest = load(from, clamped(source - arguments_.max_padding_w, arguments_.width));
    static_for<Window - 1>([&](auto j) {
      const int column = clamped(source - arguments_.max_padding_w + j + 1, arguments_.width);
      largest = maximum(largest, load(from, column));
    });
    return largest;
  }

  const StencilArguments& arguments_;
  const T* x_;  // of the image
  T* y_;
  int first_;
  int sources_[Taps];
  bool inside_;
  float taps_[Taps];
};

}  // namespace freqops::cuda
