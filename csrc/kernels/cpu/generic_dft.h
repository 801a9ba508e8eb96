// Transforms of lengths that are no product of built-in radices: a direct transform folded by symmetry while that is
// cheaper, Bluestein's chirp convolution above (Bluestein, IEEE Trans. Audio Electroacoust. 18, 1970).
#pragma once

#include "lane_transform.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// load(n) gives element n as a complex vector, store(k, value) takes output k.
template <class T, class Load, class Store>
void direct_dft(const GenericDft<T>& plan, Load&& load_element, Store&& store_element, T* scratch) {
  using V = vector_of<T>;
  constexpr int L = kLanes<T>;
  const int half = (plan.length - 1) / 2;
  const Complex<V> first = load_element(0);
  Complex<V> total = first;
  for (int n = 1; n <= half; ++n) {
    const Complex<V> a = load_element(n), b = load_element(plan.length - n);
    const Complex<V> sum = a + b, difference = a - b;
    T* p = scratch + static_cast<ptrdiff_t>(n - 1) * 4 * L;
    store<T>(p, sum.re);
    store<T>(p + L, sum.im);
    store<T>(p + 2 * L, difference.re);
    store<T>(p + 3 * L, difference.im);
    total = total + sum;
  }
  store_element(0, total);
  // Four outputs at a time, so that each loaded sum serves four multiply-adds.
  constexpr int kTogether = 4;
  for (int k = 1; k <= half; k += kTogether) {
    Complex<V> even[kTogether], odd[kTogether];
    const T *cos[kTogether], *sin[kTogether];
#pragma GCC unroll 4
    for (int u = 0; u < kTogether; ++u) {
      const int row = (k + u <= half ? k + u : half) - 1;
      even[u] = first;
      odd[u] = {V{}, V{}};
      cos[u] = plan.cos + static_cast<ptrdiff_t>(row) * half;
      sin[u] = plan.sin + static_cast<ptrdiff_t>(row) * half;
    }
    for (int n = 0; n < half; ++n) {
      const T* p = scratch + static_cast<ptrdiff_t>(n) * 4 * L;
      const V sum_re = load<T>(p), sum_im = load<T>(p + L);
      const V difference_re = load<T>(p + 2 * L), difference_im = load<T>(p + 3 * L);
#pragma GCC unroll 4
      for (int u = 0; u < kTogether; ++u) {
        even[u].re += sum_re * cos[u][n];
        even[u].im += sum_im * cos[u][n];
        odd[u].re += difference_re * sin[u][n];
        odd[u].im += difference_im * sin[u][n];
      }
    }
#pragma GCC unroll 4
    for (int u = 0; u < kTogether; ++u) {
      if (k + u > half) continue;
      const Complex<V> turned = multiply_i<-1>(odd[u]);
      store_element(k + u, even[u] + turned);
      store_element(plan.length - k - u, even[u] - turned);
    }
  }
}

template <class T, class Load, class Store>
void bluestein_dft(const GenericDft<T>& plan, Load&& load_element, Store&& store_element, T* scratch) {
  using V = vector_of<T>;
  const AxisPlan<T>& inner = *plan.inner;
  const Lines<T> lines{scratch, scratch + static_cast<ptrdiff_t>(inner.length) * kLanes<T>, kLanes<T>};
  const auto times = [](Complex<V> v, const T* root) -> Complex<V> {
    return {v.re * root[0] - v.im * root[1], v.re * root[1] + v.im * root[0]};
  };
  for (int n = 0; n < plan.length; ++n) store_complex(lines, n, times(load_element(n), plan.chirp + 2 * n));
  for (int n = plan.length; n < inner.length; ++n) store_complex(lines, n, Complex<V>{V{}, V{}});
  forward(inner, lines, lines, keep_all(inner), AxisScratch<T>{lines, nullptr}, 1, false);
  for (int e = 0; e < inner.length; ++e) {
    store_complex(lines, e, times(load_complex(lines, e), plan.chirp_spectrum + 2 * e));
  }
  inverse(inner, lines, lines, keep_all(inner), AxisScratch<T>{lines, nullptr}, 1, false);
  for (int k = 0; k < plan.length; ++k) store_element(k, times(load_complex(lines, k), plan.chirp + 2 * k));
}

template <class T, class Load, class Store>
void generic_dft(const GenericDft<T>& plan, Load&& load_element, Store&& store_element, T* scratch) {
  if (plan.kind == GenericDft<T>::Kind::kDirect) {
    direct_dft(plan, load_element, store_element, scratch);
  } else {
    bluestein_dft(plan, load_element, store_element, scratch);
  }
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
