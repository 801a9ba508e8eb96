// One-dimensional transforms of kLanes signals at once: lane i of every vector belongs to signal i, so a butterfly
// needs no shuffle. Real and imaginary parts lie in separate arrays.
//
// Every function here is a forward transform; the inverse is the same with the real and imaginary arrays exchanged.
// Stages follow fft/plan.h: the forward ones twiddle after the butterfly, the inverse ones before it. They work on
// `columns` lines side by side (kLanes elements apart), so that a call is worth its cost on short lines too.
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
#define FREQOPS_RADICES_FLOAT_ONLY(X) X(6) X(10) X(12) X(14) X(15) X(23)

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

// Walks the butterflies of a stage: output or input q of the present one is q * step away.
template <class T>
struct Cursor {
  T* re;
  T* im;
  ptrdiff_t step;

  FREQOPS_HOST_DEVICE Complex<vector_of<T>> get(int q) const {
    return {load<T>(re + q * step), load<T>(im + q * step)};
  }
  FREQOPS_HOST_DEVICE void put(int q, Complex<vector_of<T>> v) const {
    store<T>(re + q * step, v.re);
    store<T>(im + q * step, v.im);
  }
  FREQOPS_HOST_DEVICE void advance(ptrdiff_t elements) {
    re += elements;
    im += elements;
  }
  // Keeps the compiler from computing all 2 R addresses ahead of the loop: that spills them, and costs short loops more
  // than it saves.
  FREQOPS_HOST_DEVICE void keep_relative() { asm("" : "+r"(re), "+r"(im)); }
};

// One butterfly of a stage with twiddles: reads at `from`, writes at `to`.
template <int R, Hint kHint, class T>
FREQOPS_INLINE void forward_butterfly(Cursor<T> from, Cursor<T> to, const T* twiddle) {
  Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
  for (int q = 0; q < R; ++q) {
    if constexpr (kHint == Hint::kPrefetchInput) {
      // The next column block lies beside this one: ask for it now, it is needed a whole pass later.
      __builtin_prefetch(from.re + q * from.step + kLanes<T>, 0, 3);
      __builtin_prefetch(from.im + q * from.step + kLanes<T>, 0, 3);
    }
    v[q] = from.get(q);
  }
  Dft<R, -1>::run(v);
  multiply_twiddles<R, T>(v, twiddle);
#pragma GCC unroll 64
  for (int q = 0; q < R; ++q) to.put(q, v[q]);
}

template <int R, Hint kHint, class T>
FREQOPS_INLINE void inverse_butterfly(Cursor<T> from, Cursor<T> to, const T* twiddle) {
  Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
  for (int q = 0; q < R; ++q) v[q] = from.get(q);
  multiply_twiddles<R, T>(v, twiddle);
  Dft<R, -1>::run(v);
#pragma GCC unroll 64
  for (int q = 0; q < R; ++q) {
    if constexpr (kHint == Hint::kStreamOutput) {
      store_streaming<T>(to.re + q * to.step, v[q].re);
      store_streaming<T>(to.im + q * to.step, v[q].im);
    } else {
      to.put(q, v[q]);
    }
  }
}

// The extent of a stage: `blocks` blocks of radix x span elements, in `columns` lines.
struct StageShape {
  int span;
  int blocks;
  int columns;
};

template <int R, bool kForward, Hint kHint, class T>
FREQOPS_NOINLINE void twiddled_stage(Lines<T> in, Lines<T> out, StageShape shape, const T* twiddle) {
  Cursor<T> from{in.re, in.im, shape.span * in.stride}, to{out.re, out.im, shape.span * out.stride};
  const ptrdiff_t columns = static_cast<ptrdiff_t>(shape.columns) * kLanes<T>;
  for (int block = 0; block < shape.blocks; ++block) {
    const T* w = twiddle;
    for (int j = 0; j < shape.span; ++j, w += 2 * (R - 1)) {
      for (int column = 0; column < shape.columns; ++column) {
        from.keep_relative();
        to.keep_relative();
        if constexpr (kForward) {
          forward_butterfly<R, kHint, T>(from, to, w);
        } else {
          inverse_butterfly<R, kHint, T>(from, to, w);
        }
        from.advance(kLanes<T>);
        to.advance(kLanes<T>);
      }
      from.advance(in.stride - columns);
      to.advance(out.stride - columns);
    }
    from.advance((R - 1) * from.step);
    to.advance((R - 1) * to.step);
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
FREQOPS_NOINLINE void forward_last(Lines<T> in, Lines<T> out, const int32_t* slot, int blocks, int columns) {
  Cursor<T> from{in.re, in.im, in.stride};
  for (int block = 0; block < blocks; ++block, slot += R) {
    Lines<T> to = out;
    for (int column = 0; column < columns; ++column) {
      from.keep_relative();
      Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) v[q] = from.get(q);
      Dft<R, -1>::run(v);
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) {
        if (is_kept<R, Keep>(q) && slot[q] >= 0) store_complex(to, slot[q], v[q]);
      }
      from.advance(kLanes<T>);
      to = {to.re + kLanes<T>, to.im + kLanes<T>, to.stride};
    }
    from.advance(R * in.stride - static_cast<ptrdiff_t>(columns) * kLanes<T>);
  }
}

template <int R, int Keep, class T>
FREQOPS_NOINLINE void inverse_first(Lines<T> in, Lines<T> out, const int32_t* slot, int blocks, int columns) {
  Cursor<T> to{out.re, out.im, out.stride};
  for (int block = 0; block < blocks; ++block, slot += R) {
    Lines<T> from = in;
    for (int column = 0; column < columns; ++column) {
      to.keep_relative();
      Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) {
        v[q] = {vector_of<T>{}, vector_of<T>{}};
        if (is_kept<R, Keep>(q) && slot[q] >= 0) v[q] = load_complex(from, slot[q]);
      }
      Dft<R, -1>::run(v);
#pragma GCC unroll 64
      for (int q = 0; q < R; ++q) to.put(q, v[q]);
      to.advance(kLanes<T>);
      from = {from.re + kLanes<T>, from.im + kLanes<T>, from.stride};
    }
    to.advance(R * out.stride - static_cast<ptrdiff_t>(columns) * kLanes<T>);
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

// Lines only: elements are kLanes apart on both sides.
template <int R, int Keep, bool kComplexGain, Gain kGain, class T>
FREQOPS_NOINLINE void middle(Lines<T> in, Lines<T> out, const T* gain_re, const T* gain_im, int blocks) {
  Cursor<T> from{in.re, in.im, kLanes<T>}, to{out.re, out.im, kLanes<T>};
  constexpr ptrdiff_t kGainStep = kGain == Gain::kPerLane ? kLanes<T> : 1;
  for (int block = 0; block < blocks; ++block) {
    Complex<vector_of<T>> v[R];
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) v[q] = from.get(q);
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) {
      if (!is_kept<R, Keep>(q)) {
        v[q] = {vector_of<T>{}, vector_of<T>{}};
        continue;
      }
      const vector_of<T> re = load_gain<kGain, T>(gain_re, q);
      if constexpr (kComplexGain) {
        v[q] = multiply(v[q], {re, load_gain<kGain, T>(gain_im, q)});
      } else {
        v[q] = {v[q].re * re, v[q].im * re};
      }
      v[q] = {v[q].im, v[q].re};
    }
    Dft<R, -1>::run(v);
#pragma GCC unroll 64
    for (int q = 0; q < R; ++q) to.put(q, {v[q].im, v[q].re});
    from.advance(R * kLanes<T>);
    to.advance(R * kLanes<T>);
    gain_re += R * kGainStep;
    if constexpr (kComplexGain) gain_im += R * kGainStep;
  }
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
