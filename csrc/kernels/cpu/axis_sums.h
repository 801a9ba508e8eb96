// One axis of a separable map: vectors of lanes along any other axis, summed over the inputs of the axis.
//
// The inputs are folded into terms once (see axis_map.h), then a block of sums at a time takes all terms: as many
// accumulators as registers hold, so that a load serves several multiply-adds.
#pragma once

#include "../axis_map.h"
#include "arena.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// Vectors side by side, and sums that are taken together: pairs of outputs of a mirrored matrix (two accumulators
// each), else twice as many outputs.
inline constexpr int kMostVectors = FREQOPS_VECTOR_BYTES == 64 ? 4 : 2;
inline constexpr int kPairsTogether = FREQOPS_VECTOR_BYTES >= 32 ? 3 : 2;
inline constexpr int sums_together(bool mirrored) { return mirrored ? kPairsTogether : 2 * kPairsTogether; }

// Elements of the terms of one call, [terms][even, odd][vectors].
template <class T>
size_t folded_elements(const AxisMap<T>& map) {
  return size_t(map.terms) * (map.mirrored ? 2 : 1) * kMostVectors * kLanes<T>;
}

// Where the vectors of one call lie in a row of the input and in one of the output.
struct Vectors {
  int count;
  ptrdiff_t from[kMostVectors], to[kMostVectors];
};

// The lanes of a row: `runs` runs of `lanes` elements.
struct Row {
  int64_t runs, lanes;
  ptrdiff_t from_run, to_run;  // from one run to the next
};

// Calls visit(Vectors) for the vectors that cover a row, in calls of about equal size. Vectors of a run that is no
// multiple of them overlap: the last one starts early, and what both hold is summed, and stored, twice with the same
// result. Behind a run shorter than a vector there must be room for one.
template <class T, class Visit>
void for_each_vectors(const Row& row, Visit&& visit) {
  const int64_t per_run = (row.lanes + kLanes<T> - 1) / kLanes<T>, all = row.runs * per_run;
  int64_t run = 0, place = 0;
  for (int64_t first = 0; first < all;) {
    const int64_t calls = (all - first + kMostVectors - 1) / kMostVectors;
    Vectors vectors{static_cast<int>((all - first + calls - 1) / calls), {}, {}};
    for (int v = 0; v < vectors.count; ++v) {
      const int64_t lane = std::max<int64_t>(0, std::min<int64_t>(place * kLanes<T>, row.lanes - kLanes<T>));
      vectors.from[v] = run * row.from_run + lane;
      vectors.to[v] = run * row.to_run + lane;
      if (++place == per_run) place = 0, ++run;
    }
    visit(vectors);
    first += vectors.count;
  }
}
// The first `count` vectors of a row.
template <class T>
Vectors first_vectors(int count) {
  Vectors vectors{count, {}, {}};
  for (int v = 0; v < count; ++v) vectors.from[v] = vectors.to[v] = v * kLanes<T>;
  return vectors;
}

// load(n, v) is vector v of input n, the extra one included.
template <class T, class Load>
void fold_terms(const AxisMap<T>& map, int vectors, T* folded, Load&& load) {
  for (int i = 0; i < map.terms; ++i) {
    const int n = map.input[i];
    if (!map.mirrored) {
      for (int v = 0; v < vectors; ++v, folded += kLanes<T>) store<T>(folded, load(n, v));
      continue;
    }
    const bool alone = n == 0 || 2 * n == map.inputs, extra = n == map.inputs;
    T* odd = folded + vectors * kLanes<T>;
    for (int v = 0; v < vectors; ++v, folded += kLanes<T>, odd += kLanes<T>) {
      const vector_of<T> here = load(n, v);
      if (alone || extra) {
        store<T>(folded, here);
        store<T>(odd, extra ? here : vector_of<T>{});
      } else {
        const vector_of<T> there = load(map.inputs - n, v);
        store<T>(folded, here + there);
        store<T>(odd, here - there);
      }
    }
    folded = odd;
  }
}

// The compiler would rather read a term from memory for each of the multiply-adds that need it.
template <class V>
FREQOPS_HOST_DEVICE void keep_in_register(V& vector) {
#if defined(__AVX512F__)
  asm("" : "+v"(vector));
#elif defined(__SSE2__)
  asm("" : "+x"(vector));
#endif
}

// Sums of one block, written to rows `stride` apart: output m at out + m * stride.
template <int Count, bool Mirrored, class T>
FREQOPS_NOINLINE void sum_block(const AxisMap<T>& map, int first, const T* folded, T* out, ptrdiff_t stride,
                                const Vectors& vectors) {
  constexpr int kSums = sums_together(Mirrored), kHalves = Mirrored ? 2 : 1;
  constexpr ptrdiff_t kHalf = Count * kLanes<T>, kTerm = kHalves * kHalf;
  vector_of<T> sum[kHalves][kSums][Count];
#pragma GCC unroll 8
  for (int s = 0; s < kSums; ++s) {
    const int own = map.own_term[first + s];
    const T weight[2] = {map.own_even[first + s], map.own_odd[first + s]};
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
#pragma GCC unroll 4
      for (int v = 0; v < Count; ++v) {
        sum[half][s][v] = vector_of<T>{};
        if (own >= 0) sum[half][s][v] = load<T>(folded + own * kTerm + half * kHalf + v * kLanes<T>) * weight[half];
      }
    }
  }
  const T* even = map.even + static_cast<ptrdiff_t>(first) * map.dense;
  const T* odd = Mirrored ? map.odd + static_cast<ptrdiff_t>(first) * map.dense : nullptr;
  for (int i = 0; i < map.dense; ++i, folded += kTerm, even += kSums, odd += Mirrored ? kSums : 0) {
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
      vector_of<T> term[Count];
#pragma GCC unroll 4
      for (int v = 0; v < Count; ++v) {
        term[v] = load<T>(folded + half * kHalf + v * kLanes<T>);
        keep_in_register(term[v]);
      }
#pragma GCC unroll 8
      for (int s = 0; s < kSums; ++s) {
        const vector_of<T> weight = (half ? odd : even)[s] - vector_of<T>{};
#pragma GCC unroll 4
        for (int v = 0; v < Count; ++v) sum[half][s][v] += weight * term[v];
      }
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kSums; ++s) {
    const int m = first + s;
    if (m >= map.sums) break;
    T* here = out + m * stride;
    T* there = Mirrored && m > 0 && 2 * m != map.outputs ? out + (map.outputs - m) * stride : nullptr;
#pragma GCC unroll 4
    for (int v = 0; v < Count; ++v) {
      if constexpr (Mirrored) {
        store<T>(here + vectors.to[v], sum[0][s][v] + sum[1][s][v]);
        if (there) store<T>(there + vectors.to[v], sum[0][s][v] - sum[1][s][v]);
      } else {
        store<T>(here + vectors.to[v], sum[0][s][v]);
      }
    }
  }
}

// The functional, to the row behind the last output.
template <class T>
FREQOPS_NOINLINE void sum_functional(const AxisMap<T>& map, const T* folded, T* row, const Vectors& vectors) {
  vector_of<T> sum[kMostVectors]{};
  for (int i = 0; i < map.functional_terms; ++i) {
    for (int v = 0; v < vectors.count; ++v, folded += kLanes<T>) sum[v] += load<T>(folded) * map.functional_even[i];
    if (!map.mirrored) continue;
    for (int v = 0; v < vectors.count; ++v, folded += kLanes<T>) sum[v] += load<T>(folded) * map.functional_odd[i];
  }
  for (int v = 0; v < vectors.count; ++v) store<T>(row + vectors.to[v], sum[v]);
}

template <int Count, class T, class Between>
void sum_blocks(const AxisMap<T>& map, const T* folded, T* out, ptrdiff_t stride, const Vectors& vectors,
                Between&& between) {
  for (int first = 0; first < map.sums; first += map.block) {
    between();
    if (map.mirrored) {
      sum_block<Count, true, T>(map, first, folded, out, stride, vectors);
    } else {
      sum_block<Count, false, T>(map, first, folded, out, stride, vectors);
    }
  }
}

// The map of some vectors: load(n, v) gives its inputs, output m goes to out + m * stride. between() is called every few
// hundred cycles: memory can be asked for meanwhile.
template <class T, class Load, class Between>
void map_axis(const AxisMap<T>& map, const Vectors& vectors, T* folded, T* out, ptrdiff_t stride, Load&& load,
              Between&& between) {
  fold_terms(map, vectors.count, folded, load);
  if (map.has_functional()) sum_functional(map, folded, out + map.outputs * stride, vectors);
  switch (vectors.count) {
    case 1:
      return sum_blocks<1>(map, folded, out, stride, vectors, between);
    case 2:
      return sum_blocks<2>(map, folded, out, stride, vectors, between);
  }
  if constexpr (kMostVectors > 2) {
    if (vectors.count == 3) return sum_blocks<3>(map, folded, out, stride, vectors, between);
    return sum_blocks<4>(map, folded, out, stride, vectors, between);
  }
}

}  // namespace freqops::cpu::FREQOPS_LEVEL
