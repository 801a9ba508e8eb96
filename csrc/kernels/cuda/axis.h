// A transform of fixed length in one or two in-place stages, digit-reversed like the runtime plans
// of fft/plan.h: after the forward stages position p holds frequency(p), the inverse stages start
// from that order and return to the natural one, and nothing is ever permuted between them.
#pragma once

#include "../fft/dft.h"

#if defined(__CUDACC__)
#define FREQOPS_DEVICE_TABLE __device__
#else
#define FREQOPS_DEVICE_TABLE inline
#endif

namespace freqops::cuda {

// The order that in-place forward stages leave: digit-reversed in the radices, first stage first.
struct AxisOrder {
  static constexpr int kMaxStages = 8;
  int length = 1;
  int stages = 0;  // 0: natural order
  int radix[kMaxStages] = {};

  // Which frequency lies at a position.
  FREQOPS_HOST_DEVICE int frequency(int position) const {
    if (stages == 0) return position;
    int span = length, weight = 1, result = 0;
    for (int i = 0; i < stages; ++i) {
      span /= radix[i];
      result += weight * (position / span);
      position %= span;
      weight *= radix[i];
    }
    return result;
  }

  // Where a frequency lies.
  FREQOPS_HOST_DEVICE int position(int frequency) const {
    if (stages == 0) return frequency;
    int result = 0;
    for (int i = 0; i < stages; ++i) {
      result = result * radix[i] + frequency % radix[i];
      frequency /= radix[i];
    }
    return result;
  }
};

// Length Radix0 * Radix1; Radix1 = 1 is a transform held whole in the registers of one thread.
template <int Radix0, int Radix1 = 1>
struct Axis {
  static constexpr bool kTwoStages = Radix1 > 1;
  static constexpr int kLength = Radix0 * Radix1;
  static constexpr int kRadix0 = Radix0, kRadix1 = Radix1;
  // The first stage has kSpan butterflies of kRadix0 elements, kSpan apart; the last stage has
  // kLastBlocks butterflies of kLastRadix neighbours. A one-stage axis has only the last.
  static constexpr int kSpan = Radix1;
  static constexpr int kLastRadix = kTwoStages ? Radix1 : Radix0;
  static constexpr int kLastBlocks = kLength / kLastRadix;

  static FREQOPS_CONSTEXPR AxisOrder order() { return {kLength, kTwoStages ? 2 : 1, {Radix0, Radix1}}; }
  static FREQOPS_CONSTEXPR int frequency(int position) { return position / kRadix1 + kRadix0 * (position % kRadix1); }
};

// exp(-2 pi i m / N) for 0 <= m < N, rounded once from double at compile time.
template <int N>
struct RootTable {
  Complex<float> root[N];
};
template <int N>
constexpr RootTable<N> make_root_table() {
  RootTable<N> table{};
  for (int m = 0; m < N; ++m) {
    table.root[m] = {static_cast<float>(constant::cos_turn(m, N)), static_cast<float>(-constant::sin_turn(m, N))};
  }
  return table;
}
template <int N>
FREQOPS_DEVICE_TABLE constexpr RootTable<N> kRootTable = make_root_table<N>();

// One butterfly of the first forward stage. load(j), twiddle(j) = roots[j * offset of the
// butterfly] and store(j, v) get an Index, so that every address is a base and an immediate.
template <class Axis, class Load, class Twiddle, class Store>
FREQOPS_HOST_DEVICE void first_stage(Load&& load, Twiddle&& twiddle, Store&& store) {
  Complex<float> v[Axis::kRadix0];
  static_for<Axis::kRadix0>([&](auto j) { v[j] = load(j); });
  Dft<Axis::kRadix0, -1>::run(v);
  // The compiler cannot tell stores from what the next twiddles are read from, so these are read a
  // little ahead.
  constexpr int kAhead = 2;
  Complex<float> w[Axis::kRadix0];
  static_for<kAhead>([&](auto previous) {
    if constexpr (previous + 1 < Axis::kRadix0) w[previous + 1] = twiddle(Index<previous + 1>{});
  });
  store(Index<0>{}, v[0]);
  static_for<Axis::kRadix0 - 1>([&](auto previous) {
    constexpr Index<previous + 1> j;
    if constexpr (j + kAhead < Axis::kRadix0) w[j + kAhead] = twiddle(Index<j + kAhead>{});
    store(j, multiply(v[j], w[j]));
  });
}

// Its mirror, the last inverse stage: the twiddles come first.
template <class Axis, class Load, class Twiddle, class Store>
FREQOPS_HOST_DEVICE void first_stage_inverse(Load&& load, Twiddle&& twiddle, Store&& store) {
  Complex<float> v[Axis::kRadix0];
  v[0] = load(Index<0>{});
  static_for<Axis::kRadix0 - 1>([&](auto previous) {
    constexpr Index<previous + 1> j;
    v[j] = multiply_conj(load(j), twiddle(j));
  });
  Dft<Axis::kRadix0, 1>::run(v);
  static_for<Axis::kRadix0>([&](auto j) { store(j, v[j]); });
}

// Both within a line whose neighbouring elements lie Stride apart. base is element `offset` of the
// line, step is offset times the distance in `roots` of two roots of this axis.
template <class Axis, int Sign, int Stride>
FREQOPS_HOST_DEVICE void first_stage_in_place(Complex<float>* base, const Complex<float>* roots, int step) {
  const auto load = [&](auto j) { return base[j * Axis::kSpan * Stride]; };
  const auto twiddle = [&](auto j) { return roots[j * step]; };
  const auto store = [&](auto j, Complex<float> v) { base[j * Axis::kSpan * Stride] = v; };
  if constexpr (Sign < 0) {
    first_stage<Axis>(load, twiddle, store);
  } else {
    first_stage_inverse<Axis>(load, twiddle, store);
  }
}

// The last stage forward, the first inverse one. base is the first element of the butterfly.
template <class Axis, int Sign, int Stride>
FREQOPS_HOST_DEVICE void last_stage_in_place(Complex<float>* base) {
  Complex<float> v[Axis::kLastRadix];
  static_for<Axis::kLastRadix>([&](auto j) { v[j] = base[j * Stride]; });
  Dft<Axis::kLastRadix, Sign>::run(v);
  static_for<Axis::kLastRadix>([&](auto j) { base[j * Stride] = v[j]; });
}

// The row of group `index` of a first stage over W, a group being the kSpan butterflies of a row.
// With a span of 8 a half-warp covers two groups. In rows that are 8 apart they lie in different
// banks of shared memory: 8 times an odd pitch is 8 modulo 16.
template <class Axis, int Rows>
FREQOPS_HOST_DEVICE int row_of_group(int index) {
  if constexpr (Axis::kSpan == 8 && Rows % 16 == 0) return index / 16 * 16 + index % 2 * 8 + index / 2 % 8;
  return index;
}

}  // namespace freqops::cuda
