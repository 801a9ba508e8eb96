// Discrete Fourier transforms of a small fixed length R on values held in registers: the butterflies of every kernel.
//
// Dft<R, Sign>::run(v) replaces v[0..R) by its transform in natural order. V is float or double on the GPU and in the
// host replay, a SIMD vector on the CPU. Primes are direct transforms folded by symmetry, coprime products use the
// prime-factor map (no twiddles), the rest is Cooley-Tukey; every constant is known at compile time.
#pragma once

#include "complex.h"

namespace freqops {

namespace constant {

// The first factor of a composite radix. Coprime splits come first because they need no twiddles.
FREQOPS_CONSTEXPR int first_factor(int r) {
  if (r == 8) return 2;
  if (r == 16 || r == 32) return 4;
  if (r == 9 || r == 27) return 3;
  if (r == 25) return 5;
  int power_of_two = 1;
  while (r % (power_of_two * 2) == 0) power_of_two *= 2;
  if (power_of_two > 1 && power_of_two < r) return power_of_two;
  for (int p = 3; p < r; p += 2) {
    if (r % p != 0) continue;
    int q = p;
    while (r % (q * p) == 0) q *= p;
    return q < r ? q : p;
  }
  return 2;
}

}  // namespace constant

// v * exp(Sign * 2 pi i * K / N), with the cheap cases spelled out.
template <int K, int N, int Sign, class V>
FREQOPS_HOST_DEVICE Complex<V> multiply_root(Complex<V> v) {
  constexpr int k = K % N;
  using S = scalar_of<V>;
  if constexpr (k == 0) {
    return v;
  } else if constexpr (2 * k == N) {
    return {-v.re, -v.im};
  } else if constexpr (4 * k == N) {
    return multiply_i<Sign>(v);
  } else if constexpr (4 * k == 3 * N) {
    return multiply_i<-Sign>(v);
  } else if constexpr (8 * k == N || 8 * k == 3 * N) {
    constexpr S h = static_cast<S>(constant::Turn<1, 8>::cos);
    const Complex<V> turned = multiply_i<Sign>(v);
    if constexpr (8 * k == N) return {(v.re + turned.re) * h, (v.im + turned.im) * h};
    return {(turned.re - v.re) * h, (turned.im - v.im) * h};
  } else {
    constexpr S c = static_cast<S>(constant::Turn<k, N>::cos);
    constexpr S s = static_cast<S>(Sign * constant::Turn<k, N>::sin);
    return {v.re * c - v.im * s, v.re * s + v.im * c};
  }
}

template <int R, int Sign>
struct Dft {
  template <class V>
  static FREQOPS_HOST_DEVICE void run(Complex<V> (&v)[R]) {
    if constexpr (R == 2) {
      const Complex<V> a = v[0];
      v[0] = a + v[1];
      v[1] = a - v[1];
    } else if constexpr (R == 4) {
      const Complex<V> a = v[0] + v[2], b = v[0] - v[2], c = v[1] + v[3];
      const Complex<V> d = multiply_i<Sign>(v[1] - v[3]);
      v[0] = a + c;
      v[1] = b + d;
      v[2] = a - c;
      v[3] = b - d;
    } else if constexpr (constant::is_prime(R)) {
      run_prime(v);
    } else if constexpr (R > 1) {
      run_composite(v);
    }
  }

 private:
  // (R - 1)^2 real multiply-adds: x[j] + x[R-j] and x[j] - x[R-j] each meet a real coefficient.
  template <class V>
  static FREQOPS_HOST_DEVICE void run_prime(Complex<V> (&v)[R]) {
    using S = scalar_of<V>;
    constexpr int kHalf = (R - 1) / 2;
    Complex<V> sum[kHalf], difference[kHalf];
    const Complex<V> first = v[0];
    static_for<kHalf>([&](auto index) FREQOPS_INLINED {
      constexpr int j = index;
      sum[j] = v[j + 1] + v[R - 1 - j];
      difference[j] = v[j + 1] - v[R - 1 - j];
      v[0] = v[0] + sum[j];
    });
    static_for<kHalf>([&](auto index) FREQOPS_INLINED {
      constexpr int k = index + 1;
      constexpr S s1 = static_cast<S>(constant::Turn<k, R>::sin);
      Complex<V> even = first, odd{difference[0].re * s1, difference[0].im * s1};
      static_for<kHalf>([&](auto inner) FREQOPS_INLINED {
        constexpr int j = inner + 1;
        constexpr S c = static_cast<S>(constant::Turn<(j * k) % R, R>::cos);
        constexpr S s = static_cast<S>(constant::Turn<(j * k) % R, R>::sin);
        even.re += sum[j - 1].re * c;
        even.im += sum[j - 1].im * c;
        if constexpr (j > 1) {
          odd.re += difference[j - 1].re * s;
          odd.im += difference[j - 1].im * s;
        }
      });
      const Complex<V> turned = multiply_i<Sign>(odd);
      v[k] = even + turned;
      v[R - k] = even - turned;
    });
  }

  // R = A B: A-point transforms over n1, twiddles unless A and B are coprime, B-point transforms over n2.
  template <class V>
  static FREQOPS_HOST_DEVICE void run_composite(Complex<V> (&v)[R]) {
    constexpr int A = constant::first_factor(R), B = R / A;
    constexpr bool coprime = constant::gcd(A, B) == 1;
    constexpr int step1 = coprime ? B * constant::modular_inverse(B, A) : 1;
    constexpr int step2 = coprime ? A * constant::modular_inverse(A, B) : A;
    Complex<V> middle[R];
    static_for<B>([&](auto index2) FREQOPS_INLINED {
      constexpr int n2 = index2;
      Complex<V> u[A];
      static_for<A>([&](auto index1) FREQOPS_INLINED {
        constexpr int n1 = index1;
        u[n1] = v[coprime ? (B * n1 + A * n2) % R : B * n1 + n2];
      });
      Dft<A, Sign>::run(u);
      static_for<A>([&](auto index1) FREQOPS_INLINED {
        constexpr int k1 = index1;
        middle[k1 * B + n2] = multiply_root<(coprime ? 0 : k1 * n2), R, Sign>(u[k1]);
      });
    });
    static_for<A>([&](auto index1) FREQOPS_INLINED {
      constexpr int k1 = index1;
      Complex<V> u[B];
      static_for<B>([&](auto index2) FREQOPS_INLINED {
        constexpr int n2 = index2;
        u[n2] = middle[k1 * B + n2];
      });
      Dft<B, Sign>::run(u);
      static_for<B>([&](auto index2) FREQOPS_INLINED {
        constexpr int k2 = index2;
        v[coprime ? (step1 * k1 + step2 * k2) % R : k1 + A * k2] = u[k2];
      });
    });
  }
};

}  // namespace freqops
