// Complex numbers and compile-time trigonometry shared by the CPU kernels, the CUDA kernels and their host replay.
//
// Conventions of every transform in freqops, stated once:
//   forward  X[k] = sum_n x[n] exp(-2 pi i k n / N)      (Sign = -1)
//   inverse  x[n] = sum_k X[k] exp(+2 pi i k n / N)      (Sign = +1), unnormalised:
//   the factor 1/N (1/(HW) in two dimensions) is folded into the response table, so no kernel scales.
//   A half spectrum keeps columns 0 .. W/2 of the last axis. Its DC column and, for even W, its Nyquist column are
//   replaced by their Hermitian part (Z[k] + conj Z[-k]) / 2, as torch's CPU irfft2 does.
#pragma once

#include <type_traits>
#include <utility>

// Functions of constants only: evaluated by the compiler in kernels, called like any other where tables are built.
#if defined(__CUDACC__)
#define FREQOPS_CONSTEXPR __host__ __device__ constexpr
#else
#define FREQOPS_CONSTEXPR constexpr
#endif
#if defined(__CUDACC__)
#define FREQOPS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define FREQOPS_HOST_DEVICE inline __attribute__((always_inline))
#endif

// A kernel's loop bodies are lambdas (static_for below). GCC leaves large ones out of line unless told, and a butterfly
// whose registers go through memory is three times slower; nvcc inlines them all.
#if defined(__CUDACC__)
#define FREQOPS_INLINED
#else
#define FREQOPS_INLINED __attribute__((always_inline))
#endif

// Before a loop whose turns the compiler should not overlap: their registers would add up.
#if defined(__CUDA_ARCH__)
#define FREQOPS_ONE_TURN _Pragma("unroll 1")
#else
#define FREQOPS_ONE_TURN
#endif

namespace freqops {

// The type that a constant has beside a value of type V: V itself for float and double; lanes.h adds SIMD vectors.
template <class V>
struct ScalarOf {
  using type = V;
};
template <class V>
using scalar_of = typename ScalarOf<V>::type;

// Eight-byte alignment of Complex<float> makes a GPU move one in a single instruction.
template <class V>
struct alignas(sizeof(V) <= 8 ? 2 * sizeof(V) : alignof(V)) Complex {
  V re, im;
};

template <class V>
FREQOPS_HOST_DEVICE Complex<V> operator+(Complex<V> a, Complex<V> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class V>
FREQOPS_HOST_DEVICE Complex<V> operator-(Complex<V> a, Complex<V> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class V>
FREQOPS_HOST_DEVICE Complex<V> multiply(Complex<V> a, Complex<V> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
// a * conj(b)
template <class V>
FREQOPS_HOST_DEVICE Complex<V> multiply_conj(Complex<V> a, Complex<V> b) {
  return {a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im};
}
// a * (Sign * i)
template <int Sign, class V>
FREQOPS_HOST_DEVICE Complex<V> multiply_i(Complex<V> a) {
  if constexpr (Sign > 0) {
    return {-a.im, a.re};
  } else {
    return {a.im, -a.re};
  }
}

// std::integral_constant with a conversion that device code may call too.
template <int I>
struct Index {
  static constexpr int value = I;
  FREQOPS_CONSTEXPR operator int() const { return I; }
};
// Calls f(Index<0>), ..., f(Index<N - 1>): a loop whose index is a constant expression.
template <class F, int... I>
FREQOPS_HOST_DEVICE constexpr void static_for_each(F&& f, std::integer_sequence<int, I...>) {
  (f(Index<I>{}), ...);
}
template <int N, class F>
FREQOPS_HOST_DEVICE constexpr void static_for(F&& f) {
  static_for_each(static_cast<F&&>(f), std::make_integer_sequence<int, N>{});
}

namespace constant {

inline constexpr double kPi = 3.14159265358979323846264338327950288;

// Taylor series; the argument is at most pi/4, where 14 terms are exact to the last bit of a double.
FREQOPS_CONSTEXPR double sin_series(double x) {
  double term = x, sum = x;
  for (int i = 1; i < 14; ++i) {
    term *= -x * x / ((2.0 * i) * (2.0 * i + 1));
    sum += term;
  }
  return sum;
}
FREQOPS_CONSTEXPR double cos_series(double x) {
  double term = 1, sum = 1;
  for (int i = 1; i < 14; ++i) {
    term *= -x * x / ((2.0 * i - 1) * (2.0 * i));
    sum += term;
  }
  return sum;
}

// cos(2 pi k / n) and sin(2 pi k / n), reduced exactly to an octant before the series sees them.
FREQOPS_CONSTEXPR double cos_turn(long long k, long long n) {
  k %= n;
  if (k < 0) k += n;
  if (2 * k > n) k = n - k;
  if (4 * k > n) return -cos_turn(n - 2 * k, 2 * n);
  if (6 * k == n) return 0.5;  // exactly, so that equal inputs of a radix-3 butterfly cancel exactly
  if (8 * k > n) return sin_series(2 * kPi * static_cast<double>(n - 4 * k) / (4.0 * n));
  return cos_series(2 * kPi * static_cast<double>(k) / n);
}
FREQOPS_CONSTEXPR double sin_turn(long long k, long long n) { return cos_turn(4 * k - n, 4 * n); }

template <int K, int N>
struct Turn {
  static constexpr double cos = cos_turn(K, N);
  static constexpr double sin = sin_turn(K, N);
};

FREQOPS_CONSTEXPR bool is_prime(int n) {
  if (n < 2) return false;
  for (int i = 2; i * i <= n; ++i) {
    if (n % i == 0) return false;
  }
  return true;
}
FREQOPS_CONSTEXPR int gcd(int a, int b) { return b ? gcd(b, a % b) : a; }
FREQOPS_CONSTEXPR int modular_inverse(int a, int m) {
  a %= m;
  for (int i = 1; i < m; ++i) {
    if ((a * i) % m == 1) return i;
  }
  return 1;
}

}  // namespace constant
}  // namespace freqops
