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
  store(Index<0>{}, v[0]);
  static_for<Axis::kRadix0 - 1>([&](auto previous) {
    constexpr Index<previous + 1> j;
    store(j, multiply(v[j], twiddle(j)));
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

}  // namespace freqops::cuda
