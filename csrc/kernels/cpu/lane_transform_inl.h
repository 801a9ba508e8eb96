// Definitions of lane_transform.h: from a plan's radices to the codelets instantiated for them.
#pragma once

#include "generic_dft.h"
#include "lane_transform.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Calls visit(integral_constant<R>) for the codelet of this radix; false where there is none.
template <class T, class Visit>
FREQOPS_INLINE bool visit_radix(int radix, Visit&& visit) {
#define FREQOPS_CASE(R)                      \
  case R:                                    \
    visit(std::integral_constant<int, R>{}); \
    return true;
  switch (radix) { FREQOPS_RADICES_COMMON(FREQOPS_CASE) }
  if constexpr (sizeof(T) == sizeof(float)) {
    switch (radix) { FREQOPS_RADICES_FLOAT_ONLY(FREQOPS_CASE) }
  }
#undef FREQOPS_CASE
  return false;
}

// Calls visit(R, Keep) for a butterfly of which only `outputs` outputs are wanted: the smallest compiled Keep that
// covers them, or the whole butterfly.
#define FREQOPS_KEEPS(X) \
  X(4, 2) X(7, 2) X(7, 4) X(8, 2) X(8, 4) X(13, 4) X(14, 4) X(14, 8) X(16, 2) X(16, 4) X(16, 8) X(23, 6) X(23, 12)
template <class T, class Visit>
FREQOPS_INLINE bool visit_kept_radix(int radix, int outputs, Visit&& visit) {
  if constexpr (sizeof(T) == sizeof(float)) {
#define FREQOPS_CASE(R, K)                                                     \
  if (radix == R && outputs <= K) {                                            \
    visit(std::integral_constant<int, R>{}, std::integral_constant<int, K>{}); \
    return true;                                                               \
  }
    FREQOPS_KEEPS(FREQOPS_CASE)
#undef FREQOPS_CASE
  }
  return visit_radix<T>(radix, [&](auto r) { visit(r, r); });
}

template <class T>
FREQOPS_NOINLINE void forward_stage(int radix, bool prefetch, Lines<T> in, Lines<T> out, StageShape shape,
                                    const T* twiddle) {
  visit_radix<T>(radix, [&](auto r) {
    if (prefetch) {
      twiddled_stage<r, true, Hint::kPrefetchInput, T>(in, out, shape, twiddle);
    } else {
      twiddled_stage<r, true, Hint::kNone, T>(in, out, shape, twiddle);
    }
  });
}

template <class T>
FREQOPS_NOINLINE void inverse_stage(int radix, bool stream, Lines<T> in, Lines<T> out, StageShape shape,
                                    const T* twiddle) {
  visit_radix<T>(radix, [&](auto r) {
    if constexpr (kHasStreaming && sizeof(T) == sizeof(float)) {
      if (stream) return twiddled_stage<r, false, Hint::kStreamOutput, T>(in, out, shape, twiddle);
    }
    twiddled_stage<r, false, Hint::kNone, T>(in, out, shape, twiddle);
  });
}

template <class T>
Lines<T> column_of(Lines<T> x, int column) {
  return {x.re + column * kLanes<T>, x.im + column * kLanes<T>, x.stride};
}

// Calls visit(block, column) for the butterflies of a generic last stage.
template <class Visit>
void for_each_generic(int blocks, int columns, Visit&& visit) {
  for (int block = 0; block < blocks; ++block) {
    for (int column = 0; column < columns; ++column) visit(block, column);
  }
}

template <class T>
void forward_last_any(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, int blocks, int columns,
                      T* generic) {
  const bool built_in = visit_kept_radix<T>(plan.last_radix(), kept.outputs, [&](auto r, auto keep) {
    forward_last<r, keep, T>(in, out, kept.slot, blocks, columns);
  });
  if (built_in) return;
  const int radix = plan.last_radix();
  for_each_generic(blocks, columns, [&](int block, int column) {
    generic_dft<T>(
        plan.generic, [&](int n) { return load_complex(column_of(in, column), block * radix + n); },
        [&](int k, Complex<vector_of<T>> v) {
          const int32_t place = kept.slot[block * radix + k];
          if (place >= 0) store_complex(column_of(out, column), place, v);
        },
        generic);
  });
}

template <class T>
void inverse_first_any(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, int blocks, int columns,
                       T* generic) {
  const bool built_in = visit_kept_radix<T>(plan.last_radix(), kept.outputs, [&](auto r, auto keep) {
    inverse_first<r, keep, T>(in, out, kept.slot, blocks, columns);
  });
  if (built_in) return;
  const int radix = plan.last_radix();
  for_each_generic(blocks, columns, [&](int block, int column) {
    generic_dft<T>(
        plan.generic,
        [&](int n) -> Complex<vector_of<T>> {
          const int32_t place = kept.slot[block * radix + n];
          if (place < 0) return {vector_of<T>{}, vector_of<T>{}};
          return load_complex(column_of(in, column), place);
        },
        [&](int k, Complex<vector_of<T>> v) { store_complex(column_of(out, column), block * radix + k, v); }, generic);
  });
}

template <class T>
void forward(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, AxisScratch<T> scratch, int columns,
             bool prefetch) {
  int blocks = 1;
  for (int s = 0; s + 1 < plan.stages; ++s) {
    forward_stage(plan.radix[s], prefetch && s == 0, in, scratch.lines, {plan.span[s], blocks, columns},
                  plan.twiddle[s]);
    blocks *= plan.radix[s];
    in = scratch.lines;
  }
  forward_last_any(plan, in, out, kept, blocks, columns, scratch.generic);
}

template <class T>
void inverse(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, Kept kept, AxisScratch<T> scratch, int columns,
             bool stream) {
  // Exchanging the real and imaginary arrays turns the forward butterflies into inverse ones.
  const Lines<T> result = swapped(out), lines = swapped(scratch.lines);
  int blocks = plan.length / plan.last_radix();
  inverse_first_any(plan, swapped(in), plan.stages == 1 ? result : lines, kept, blocks, columns, scratch.generic);
  for (int s = plan.stages - 2; s >= 0; --s) {
    blocks /= plan.radix[s];
    inverse_stage(plan.radix[s], stream && s == 0, lines, s == 0 ? result : lines, {plan.span[s], blocks, columns},
                  plan.twiddle[s]);
  }
}

// Lines that follow each other look to a stage like so many times more blocks.
template <class T>
void forward_but_last(const AxisPlan<T>& plan, Lines<T> x, int lines) {
  int blocks = lines;
  for (int s = 0; s + 1 < plan.stages; ++s) {
    forward_stage(plan.radix[s], false, x, x, {plan.span[s], blocks, 1}, plan.twiddle[s]);
    blocks *= plan.radix[s];
  }
}

// The middle for a generic last stage: the same three steps, through `out`.
template <class T>
void middle_generic(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, LineGain<T> gain, int blocks, T* generic) {
  using V = vector_of<T>;
  const int radix = plan.last_radix();
  const auto gain_at = [&](const T* p, ptrdiff_t e) -> V {
    return gain.gain == Gain::kPerLane ? load_gain<Gain::kPerLane, T>(p, e) : load_gain<Gain::kBroadcast, T>(p, e);
  };
  for (int block = 0; block < blocks; ++block) {
    const ptrdiff_t base = static_cast<ptrdiff_t>(block) * radix;
    generic_dft<T>(
        plan.generic, [&](int n) { return load_complex(in, base + n); },
        [&](int k, Complex<V> v) {
          const Complex<V> g{gain_at(gain.re, base + k), gain.im ? gain_at(gain.im, base + k) : V{}};
          store_complex(out, base + k, gain.im ? multiply(v, g) : Complex<V>{v.re * g.re, v.im * g.re});
        },
        generic);
    const Lines<T> exchanged = swapped(out);
    generic_dft<T>(
        plan.generic, [&](int n) { return load_complex(exchanged, base + n); },
        [&](int k, Complex<V> v) { store_complex(exchanged, base + k, v); }, generic);
  }
}

template <class T>
void middle_any(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, LineGain<T> gain, int blocks, T* generic) {
  const int radix = plan.last_radix();
  bool built_in;
  if (!gain.im && gain.gain == Gain::kPerLane) {
    built_in = visit_kept_radix<T>(radix, gain.outputs, [&](auto r, auto keep) {
      middle<r, keep, false, Gain::kPerLane, T>(in, out, gain.re, nullptr, blocks);
    });
  } else {
    built_in = visit_radix<T>(radix, [&](auto r) {
      if (!gain.im) {
        middle<r, r, false, Gain::kBroadcast, T>(in, out, gain.re, nullptr, blocks);
      } else if (gain.gain == Gain::kPerLane) {
        middle<r, r, true, Gain::kPerLane, T>(in, out, gain.re, gain.im, blocks);
      } else {
        middle<r, r, true, Gain::kBroadcast, T>(in, out, gain.re, gain.im, blocks);
      }
    });
  }
  if (!built_in) middle_generic(plan, in, out, gain, blocks, generic);
}

template <class T>
void filter_after_first(const AxisPlan<T>& plan, Lines<T> in, Lines<T> out, LineGain<T> gain, T* generic, int lines) {
  int blocks = lines * (plan.length / plan.last_radix());
  middle_any(plan, in, out, gain, blocks, generic);
  const Lines<T> exchanged = swapped(out);
  for (int s = plan.stages - 2; s >= 0; --s) {
    blocks /= plan.radix[s];
    inverse_stage(plan.radix[s], false, exchanged, exchanged, {plan.span[s], blocks, 1}, plan.twiddle[s]);
  }
}

#define FREQOPS_INSTANTIATE_LANE_TRANSFORM(T)                                                        \
  template void forward<T>(const AxisPlan<T>&, Lines<T>, Lines<T>, Kept, AxisScratch<T>, int, bool); \
  template void inverse<T>(const AxisPlan<T>&, Lines<T>, Lines<T>, Kept, AxisScratch<T>, int, bool); \
  template void forward_but_last<T>(const AxisPlan<T>&, Lines<T>, int);                              \
  template void filter_after_first<T>(const AxisPlan<T>&, Lines<T>, Lines<T>, LineGain<T>, T*, int);

}  // namespace freqops::cpu::FREQOPS_LEVEL
