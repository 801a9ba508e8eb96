// One-dimensional transforms of kLanes signals at once: lane i of every vector belongs to signal i, so a butterfly
// needs no shuffle. Real and imaginary parts lie in separate arrays.
//
// Every function here is a forward transform; the inverse is the same with the real and imaginary arrays exchanged.
// Stages follow fft/plan.h: the forward ones twiddle after the butterfly, the inverse ones before it.
#pragma once

#include "../fft/dft.h"
#include "../fft/plan.h"
#include "lanes.h"

#define FREQOPS_NOINLINE static __attribute__((noinline))
#define FREQOPS_INLINE static inline __attribute__((always_inline))

namespace freqops::cpu::FREQOPS_LEVEL {

// Vectors of kLanes elements, `stride` elements apart.
template <class T>
struct Lines {
  T* re;
  T* im;
  ptrdiff_t stride;
};
template <class T>
FREQOPS_INLINE Lines<T> swapped(Lines<T> x) {
  return {x.im, x.re, x.stride};
}
template <class T>
FREQOPS_INLINE Complex<vector_of<T>> load_complex(Lines<T> x, ptrdiff_t element) {
  return {load<T>(x.re + element * x.stride), load<T>(x.im + element * x.stride)};
}
template <class T>
FREQOPS_INLINE void store_complex(Lines<T> x, ptrdiff_t element, Complex<vector_of<T>> v) {
  store<T>(x.re + element * x.stride, v.re);
  store<T>(x.im + element * x.stride, v.im);
}

// The radices with a codelet of their own. float64 is for checking rather than for speed and has fewer, which halves
// the build; plan_builder.cpp chooses from the same lists.
#define FREQOPS_RADICES_COMMON(X) X(1) X(2) X(3) X(4) X(5) X(7) X(8) X(9) X(11) X(13) X(16)
#define FREQOPS_RADICES_FLOAT_ONLY(X) X(6) X(10) X(12) X(14) X(15) X(23) X(28) X(32)

enum class Hint { kNone, kPrefetchInput, kStreamOutput };

// ---- stages with twiddles ------------------------------------------------------------------------------------------

template <int R, class T>
FREQOPS_INLINE void multiply_twiddles(Complex<vector_of<T>> (&v)[R], const T* twiddle) {
#pragma GCC unroll 64
  for (int q = 1; q < R; ++q) {
    const T c = twiddle[2 * q - 2], s = twiddle[2 * q - 1];
    v[q] = {v[q].re * c + v[q].im * s, v[q].im * c - v[q].re * s};
  }
}

template <int R, Hint kHint, class T>
FREQOPS_NOINLINE void forward_stage(Lines<T> in, Lines<T> out, int span, int blocks, const T* twiddle) {
  for (int block = 0; block < blocks; ++block) {
    for (int j = 0; j < span; ++j) {
      const ptrdiff_t base = static_cast<ptrdiff_t>(block) * R * span + j;
      Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) {
        if constexpr (kHint == Hint::kPrefetchInput) {
          // The next column block lies beside this one: ask for it now, it is needed a whole pass later.
          __builtin_prefetch(in.re + (base + q * span) * in.stride + kLanes<T>, 0, 3);
          __builtin_prefetch(in.im + (base + q * span) * in.stride + kLanes<T>, 0, 3);
        }
        v[q] = load_complex(in, base + q * span);
      }
      Dft<R, -1>::run(v);
      multiply_twiddles<R, T>(v, twiddle + static_cast<ptrdiff_t>(j) * 2 * (R - 1));
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) store_complex(out, base + q * span, v[q]);
    }
  }
}

template <int R, Hint kHint, class T>
FREQOPS_NOINLINE void inverse_stage(Lines<T> in, Lines<T> out, int span, int blocks, const T* twiddle) {
  for (int block = 0; block < blocks; ++block) {
    for (int j = 0; j < span; ++j) {
      const ptrdiff_t base = static_cast<ptrdiff_t>(block) * R * span + j;
      Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) v[q] = load_complex(in, base + q * span);
      multiply_twiddles<R, T>(v, twiddle + static_cast<ptrdiff_t>(j) * 2 * (R - 1));
      Dft<R, -1>::run(v);
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) {
        if constexpr (kHint == Hint::kStreamOutput) {
          store_streaming<T>(out.re + (base + q * span) * out.stride, v[q].re);
          store_streaming<T>(out.im + (base + q * span) * out.stride, v[q].im);
        } else {
          store_complex(out, base + q * span, v[q]);
        }
      }
    }
  }
}

// ---- last forward stage and first inverse stage --------------------------------------------------------------------
// `slot[e]` is where position e is kept outside the scratch, or -1 where it is not kept because the response is zero
// there. Keep < R states that only the first and last Keep / 2 outputs of a butterfly are ever wanted: the compiler
// then drops the arithmetic of the others.

template <int R, int Keep>
constexpr bool is_kept(int q) {
  return Keep == R || q < Keep / 2 || q >= R - Keep / 2;
}

template <int R, int Keep, class T>
FREQOPS_NOINLINE void forward_last(Lines<T> in, Lines<T> out, const int32_t* slot, int blocks) {
  for (int block = 0; block < blocks; ++block) {
    Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) v[q] = load_complex(in, block * R + q);
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) {
      if (!is_kept<R, Keep>(q)) continue;
      const int32_t place = slot[block * R + q];
      if (place >= 0) store_complex(out, place, v[q]);
    }
  }
}

template <int R, int Keep, class T>
FREQOPS_NOINLINE void inverse_first(Lines<T> in, Lines<T> out, const int32_t* slot, int blocks) {
  for (int block = 0; block < blocks; ++block) {
    Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) {
      v[q] = {vector_of<T>{}, vector_of<T>{}};
      if (!is_kept<R, Keep>(q)) continue;
      const int32_t place = slot[block * R + q];
      if (place >= 0) v[q] = load_complex(in, place);
    }
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) store_complex(out, block * R + q, v[q]);
  }
}

// ---- the middle: last forward stage, response, first inverse stage, without leaving the registers -------------------

// How the response of a position reaches the lanes: one value per lane, or one for all of them.
enum class Gain { kPerLane, kBroadcast };

template <Gain kGain, class T>
FREQOPS_INLINE vector_of<T> load_gain(const T* p, ptrdiff_t element) {
  if constexpr (kGain == Gain::kPerLane) {
    return load<T>(p + element * kLanes<T>);
  } else {
    return p[element] - vector_of<T>{};
  }
}

template <int R, int Keep, bool kComplexGain, Gain kGain, class T>
FREQOPS_NOINLINE void middle(Lines<T> in, Lines<T> out, const T* gain_re, const T* gain_im, int blocks) {
  for (int block = 0; block < blocks; ++block) {
    Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) v[q] = load_complex(in, block * R + q);
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) {
      if (!is_kept<R, Keep>(q)) {
        v[q] = {vector_of<T>{}, vector_of<T>{}};
        continue;
      }
      const ptrdiff_t element = static_cast<ptrdiff_t>(block) * R + q;
      const vector_of<T> re = load_gain<kGain, T>(gain_re, element);
      if constexpr (kComplexGain) {
        v[q] = multiply(v[q], {re, load_gain<kGain, T>(gain_im, element)});
      } else {
        v[q] = {v[q].re * re, v[q].im * re};
      }
      v[q] = {v[q].im, v[q].re};
    }
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) store_complex(out, block * R + q, {v[q].im, v[q].re});
  }
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
