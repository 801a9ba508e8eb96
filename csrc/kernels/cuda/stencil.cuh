// What the pooling kernels share: elements in registers, how they come from memory and go back, and the
// maximum.
//
// Elements of half types stay in pairs in 32-bit registers as long as only maxima are taken, which is
// exact in any format; all else is float32, rounded once when it is stored.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "element.h"
#include "strips.h"

namespace freqops::cuda {

FREQOPS_HOST_DEVICE double to_float(double value) { return value; }
FREQOPS_HOST_DEVICE void from_float(double value, double& element) { element = value; }

// What an element is computed in, and the register that holds one or, of a half type, two of them.
template <class T>
struct ElementTraits {
  using Value = float;
  using Word = uint32_t;
  static constexpr int kPerWord = 2;
};
template <>
struct ElementTraits<float> {
  using Value = float;
  using Word = float;
  static constexpr int kPerWord = 1;
};
template <>
struct ElementTraits<double> {
  using Value = double;
  using Word = double;
  static constexpr int kPerWord = 1;
};
template <class T>
using value_of = typename ElementTraits<T>::Value;
template <class T>
using word_of = typename ElementTraits<T>::Word;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

inline constexpr int kVectorBytes = 16;
template <class T>
inline constexpr int kVectorElements = kVectorBytes / static_cast<int>(sizeof(T));

// N elements; where N is odd, the upper half of the last word of a half type means nothing.
template <class T, int N>
struct Packed {
  static constexpr int kPerWord = ElementTraits<T>::kPerWord;
  static constexpr int kWords = (N + kPerWord - 1) / kPerWord;
  word_of<T> words[kWords];
};

// --- one word ---------------------------------------------------------------------------------------

template <class T>
FREQOPS_HOST_DEVICE word_of<T> word_from(T low, T high) {
  if constexpr (ElementTraits<T>::kPerWord == 1) {
    return low;
  } else {
    return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
  }
}
// The element at place 0 or 1 of a word.
template <class T, int Place>
FREQOPS_HOST_DEVICE T element_in(word_of<T> word) {
  if constexpr (ElementTraits<T>::kPerWord == 1) {
    return word;
  } else {
    return T{static_cast<uint16_t>(word >> 16 * Place)};
  }
}
// The second element of one word and the first of the next.
template <class T>
FREQOPS_HOST_DEVICE uint32_t between(uint32_t word, uint32_t next) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(word, next, 0x5432);
#else
  return word >> 16 | next << 16;
#endif
}
// As values; of a word's upper bfloat16 the lower one need not be shifted out, only masked.
template <class T, int Place>
FREQOPS_HOST_DEVICE value_of<T> value_in(word_of<T> word) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, BFloat16>) return __uint_as_float(Place == 0 ? word << 16 : word & 0xffff0000u);
#endif
  return to_float(element_in<T, Place>(word));
}

// --- maximum: NaN if one of the two is, 0 above -0 --------------------------------------------------

template <class Value>
FREQOPS_HOST_DEVICE Value plain_maximum(Value a, Value b) {
  if (a != a || b != b) return static_cast<Value>(kNaN);
  if (a == b) return 1 / a > 1 / b ? a : b;
  return a > b ? a : b;
}
template <class T>
FREQOPS_HOST_DEVICE T plain_maximum_of_halves(T a, T b) {
  const float x = to_float(a), y = to_float(b), larger = plain_maximum(x, y);
  return larger != larger ? T{0x7fff} : larger == x && (x != 0.0f || 1 / x == 1 / larger) ? a : b;
}

// Of every element of two words of T.
template <class T>
FREQOPS_HOST_DEVICE word_of<T> maximum(word_of<T> a, word_of<T> b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, float>) {
    float larger;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
    return larger;
  } else if constexpr (std::is_same_v<T, Half>) {
    uint32_t larger;
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
    return larger;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    uint32_t larger;
    asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
    return larger;
  } else {
    return plain_maximum(a, b);
  }
#else
  if constexpr (ElementTraits<T>::kPerWord == 1) {
    return plain_maximum(a, b);
  } else {
    return word_from<T>(plain_maximum_of_halves(element_in<T, 0>(a), element_in<T, 0>(b)),
                        plain_maximum_of_halves(element_in<T, 1>(a), element_in<T, 1>(b)));
  }
#endif
}
template <class T, int N>
FREQOPS_HOST_DEVICE Packed<T, N> maximum(const Packed<T, N>& a, const Packed<T, N>& b) {
  Packed<T, N> larger;
  static_for<Packed<T, N>::kWords>([&](auto i) { larger.words[i] = maximum<T>(a.words[i], b.words[i]); });
  return larger;
}

// --- elements -----------------------------------------------------------------------------------------

template <int I, class T, int N>
FREQOPS_HOST_DEVICE value_of<T> value_at(const Packed<T, N>& packed) {
  constexpr int kPerWord = ElementTraits<T>::kPerWord;
  return value_in<T, I % kPerWord>(packed.words[I / kPerWord]);
}
template <class T, int N>
FREQOPS_HOST_DEVICE void widen(const Packed<T, N>& packed, value_of<T> (&values)[N]) {
  static_for<N>([&](auto i) { values[i] = value_at<decltype(i)::value>(packed); });
}
template <int I, class T, int N>
FREQOPS_HOST_DEVICE void set_element(Packed<T, N>& packed, T element) {
  if constexpr (ElementTraits<T>::kPerWord == 1) {
    packed.words[I] = element;
  } else {
    constexpr int kShift = I % 2 * 16;
    uint32_t& word = packed.words[I / 2];
    word = (word & ~(0xffffu << kShift)) | static_cast<uint32_t>(element.bits) << kShift;
  }
}
// Element To becomes what element From is.
template <int To, int From, class T, int N>
FREQOPS_HOST_DEVICE void copy_element(Packed<T, N>& packed) {
#if defined(__CUDA_ARCH__)
  if constexpr (ElementTraits<T>::kPerWord == 2) {
    constexpr unsigned kTaken = From % 2 ? 0x76 : 0x54, kBytes = To % 2 ? kTaken << 8 | 0x10 : 0x3200 | kTaken;
    packed.words[To / 2] = __byte_perm(packed.words[To / 2], packed.words[From / 2], kBytes);
    return;
  }
#endif
  constexpr int kPerWord = ElementTraits<T>::kPerWord;
  set_element<To>(packed, element_in<T, From % kPerWord>(packed.words[From / kPerWord]));
}
template <class T, int N>
FREQOPS_HOST_DEVICE Packed<T, N> zeros() {
  Packed<T, N> packed;
  static_for<Packed<T, N>::kWords>([&](auto i) { packed.words[i] = 0; });
  return packed;
}
template <class T>
FREQOPS_HOST_DEVICE T zero() {
  return element_in<T, 0>(0);
}
// What a maximum starts from.
template <class T>
FREQOPS_HOST_DEVICE T lowest() {
  if constexpr (std::is_same_v<T, Half>) {
    return Half{0xfc00};
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return BFloat16{0xff80};
  } else {
    return static_cast<T>(-kInfinity);
  }
}

// --- memory -------------------------------------------------------------------------------------------
// Inputs are read as what no kernel writes: then loads need not wait for the stores before them.

template <class T>
FREQOPS_HOST_DEVICE T load_element(const T* from) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 2) {
    return T{__ldg(reinterpret_cast<const unsigned short*>(from))};
  } else {
    return __ldg(from);
  }
#else
  return *from;
#endif
}

// Whole vectors of 4 to 16 bytes move in one instruction, from and to multiples of their size. A device
// stops at other addresses; the replay makes NaN of them.
template <int Bytes>
struct alignas(Bytes) Vector {
  uint32_t words[Bytes / 4];
};
template <int Bytes>
FREQOPS_HOST_DEVICE bool is_aligned_to(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % Bytes == 0;
}
template <int Bytes>
FREQOPS_HOST_DEVICE Vector<Bytes> load_vector(const void* from) {
  Vector<Bytes> vector;
#if defined(__CUDA_ARCH__)
  if constexpr (Bytes == 16) {
    const uint4 words = __ldg(static_cast<const uint4*>(from));
    vector = {{words.x, words.y, words.z, words.w}};
  } else if constexpr (Bytes == 8) {
    const uint2 words = __ldg(static_cast<const uint2*>(from));
    vector = {{words.x, words.y}};
  } else {
    vector = {{__ldg(static_cast<const unsigned*>(from))}};
  }
#else
  if (is_aligned_to<Bytes>(from)) {
    std::memcpy(&vector, from, Bytes);
  } else {
    std::memset(&vector, 0xff, Bytes);
  }
#endif
  return vector;
}
template <int Bytes>
FREQOPS_HOST_DEVICE void store_vector(void* to, const Vector<Bytes>& vector) {
#if defined(__CUDA_ARCH__)
  *static_cast<Vector<Bytes>*>(to) = vector;
#else
  if (is_aligned_to<Bytes>(to)) {
    std::memcpy(to, &vector, Bytes);
  } else {
    std::memset(to, 0xff, Bytes);
  }
#endif
}
template <class T>
FREQOPS_HOST_DEVICE word_of<T> word_of_bits(uint32_t bits) {
  if constexpr (std::is_same_v<T, float>) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    return float_of(bits);
#endif
  } else {
    return bits;
  }
}

// The N first elements of a place that is aligned to so many (at most 16 bytes), as long as they fill
// whole vectors. T is float or a half type.
template <class T, int N>
FREQOPS_HOST_DEVICE Packed<T, N> load_aligned(const T* from) {
  constexpr int kBytes = N * static_cast<int>(sizeof(T)), kPiece = kBytes < kVectorBytes ? kBytes : kVectorBytes;
  static_assert(kBytes % kPiece == 0 && kPiece % 4 == 0);
  Packed<T, N> packed;
  static_for<kBytes / kPiece>([&](auto piece) {
    const auto vector = load_vector<kPiece>(reinterpret_cast<const char*>(from) + piece * kPiece);
    static_for<kPiece / 4>([&](auto i) { packed.words[piece * (kPiece / 4) + i] = word_of_bits<T>(vector.words[i]); });
  });
  return packed;
}
// N elements at load(0) ... load(N - 1).
template <class T, int N, class Load>
FREQOPS_HOST_DEVICE Packed<T, N> pack(Load&& load) {
  Packed<T, N> packed;
  constexpr int kPerWord = ElementTraits<T>::kPerWord;
  static_for<Packed<T, N>::kWords>([&](auto i) {
    constexpr int kFirst = decltype(i)::value * kPerWord;
    const T first = load(Index<kFirst>{});
    if constexpr (kPerWord == 2 && kFirst + 1 < N) {
      packed.words[i] = word_from<T>(first, load(Index<kFirst + 1>{}));
    } else {
      packed.words[i] = word_from<T>(first, first);
    }
  });
  return packed;
}

// Values of one word of T, rounded.
template <class T>
FREQOPS_HOST_DEVICE uint32_t rounded_bits(float low, [[maybe_unused]] float high) {
  if constexpr (std::is_same_v<T, float>) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(low);
#else
    return bits_of(low);
#endif
  } else {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t word;
    if constexpr (std::is_same_v<T, Half>) {
      const __half2 pair = __floats2half2_rn(low, high);
      std::memcpy(&word, &pair, sizeof word);
    } else {
      const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
      std::memcpy(&word, &pair, sizeof word);
    }
    return word;
#else
    T first, second;
    from_float(low, first);
    from_float(high, second);
    return word_from<T>(first, second);
#endif
  }
}
template <class T>
FREQOPS_HOST_DEVICE void store_value(T* to, value_of<T> value) {
  T element;
  from_float(value, element);
  *to = element;
}
// As load_aligned.
template <class T, int N>
FREQOPS_HOST_DEVICE void store_aligned(T* to, const float (&values)[N]) {
  constexpr int kBytes = N * static_cast<int>(sizeof(T)), kPiece = kBytes < kVectorBytes ? kBytes : kVectorBytes;
  constexpr int kPerWord = ElementTraits<T>::kPerWord;
  static_assert(kBytes % kPiece == 0 && kPiece % 4 == 0);
  static_for<kBytes / kPiece>([&](auto piece) {
    Vector<kPiece> vector;
    static_for<kPiece / 4>([&](auto i) {
      constexpr int kFirst = (decltype(piece)::value * (kPiece / 4) + decltype(i)::value) * kPerWord;
      vector.words[i] = rounded_bits<T>(values[kFirst], values[kFirst + kPerWord - 1]);
    });
    store_vector<kPiece>(reinterpret_cast<char*>(to) + piece * kPiece, vector);
  });
}

}  // namespace freqops::cuda
