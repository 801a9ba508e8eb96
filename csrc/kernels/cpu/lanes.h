// SIMD lanes of the level this file is compiled for (FREQOPS_CPU_LEVEL: default, avx2 or avx512), written with the
// compiler's vector extension so that one source serves every level and every architecture.
//
// Everything below lives in a namespace of the level: the same header is compiled several times with different
// instruction sets, and a symbol shared between two of them could bring AVX-512 code to a machine without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../fft/complex.h"

#if defined(__SSE2__)
#include <immintrin.h>  // masked loads, maxima: every function in it is inlined, none is left for the linker
#endif

#define FREQOPS_JOIN_(a, b) a##b
#define FREQOPS_JOIN(a, b) FREQOPS_JOIN_(a, b)
#define FREQOPS_LEVEL FREQOPS_JOIN(level_, FREQOPS_CPU_LEVEL)

#if defined(__AVX512F__)
#define FREQOPS_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define FREQOPS_VECTOR_BYTES 32
#else
#define FREQOPS_VECTOR_BYTES 16
#endif

namespace freqops {

typedef float FloatVector __attribute__((vector_size(FREQOPS_VECTOR_BYTES)));
typedef double DoubleVector __attribute__((vector_size(FREQOPS_VECTOR_BYTES)));
template <>
struct ScalarOf<FloatVector> {
  using type = float;
};
template <>
struct ScalarOf<DoubleVector> {
  using type = double;
};

namespace cpu::FREQOPS_LEVEL {

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = FloatVector;
};
template <>
struct VectorOf<double> {
  using type = DoubleVector;
};
template <class T>
using vector_of = typename VectorOf<T>::type;
template <class T>
inline constexpr int kLanes = FREQOPS_VECTOR_BYTES / sizeof(T);

template <class T>
FREQOPS_HOST_DEVICE vector_of<T> load(const T* p) {
  typedef T unaligned __attribute__((vector_size(FREQOPS_VECTOR_BYTES), aligned(sizeof(T)), may_alias));
  return *reinterpret_cast<const unaligned*>(p);
}
template <class T>
FREQOPS_HOST_DEVICE void store(T* p, vector_of<T> v) {
  typedef T unaligned __attribute__((vector_size(FREQOPS_VECTOR_BYTES), aligned(sizeof(T)), may_alias));
  *reinterpret_cast<unaligned*>(p) = v;
}
// A store past the caches, for outputs larger than them; p must be aligned to the vector.
template <class T>
FREQOPS_HOST_DEVICE void store_streaming(T* p, vector_of<T> v) {
#if defined(__AVX512F__)
  typedef long long bits __attribute__((vector_size(64), may_alias));
  __builtin_ia32_movntdq512(reinterpret_cast<bits*>(p), reinterpret_cast<bits>(v));
#else
  store(p, v);
#endif
}
// Streaming stores are weakly ordered: other threads may read them only behind this.
FREQOPS_HOST_DEVICE void streaming_fence() {
#if defined(__AVX512F__)
  __builtin_ia32_sfence();
#endif
}
inline constexpr bool kHasStreaming = FREQOPS_VECTOR_BYTES == 64;

// The first `count` elements, 1 to kLanes; the other lanes are read as 0 and never touched in memory.
template <class T>
FREQOPS_HOST_DEVICE vector_of<T> load_first(const T* p, int64_t count) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (vector_of<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>(_bzhi_u32(0xffffu, count)), p);
  } else {
    return (vector_of<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(_bzhi_u32(0xffu, count)), p);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (vector_of<T>)_mm256_maskload_ps(
        p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
  } else {
    return (vector_of<T>)_mm256_maskload_pd(
        p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3)));
  }
#else
  T lanes[kLanes<T>] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load<T>(lanes);
#endif
}
template <class T>
FREQOPS_HOST_DEVICE void store_first(T* p, int64_t count, vector_of<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(_bzhi_u32(0xffffu, count)), (__m512)v);
  } else {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(_bzhi_u32(0xffu, count)), (__m512d)v);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(
        p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
        (__m256)v);
  } else {
    _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3)), (__m256d)v);
  }
#else
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

// The larger of two, NaN where either is. The instruction gives its second operand where it meets a NaN, so that one of
// the two orders has it, and with all bits of its exponent set it outlives the other. (0 may come with either sign.)
template <class T>
FREQOPS_HOST_DEVICE vector_of<T> maximum(vector_of<T> a, vector_of<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    // The masked forms: the plain ones start from an undefined register, of which GCC 12 warns.
    const __m512 one = _mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
    const __m512 other = _mm512_maskz_max_ps(0xffff, (__m512)b, (__m512)a);
    return (vector_of<T>)_mm512_or_ps(one, other);
  } else {
    const __m512d one = _mm512_maskz_max_pd(0xff, (__m512d)a, (__m512d)b);
    const __m512d other = _mm512_maskz_max_pd(0xff, (__m512d)b, (__m512d)a);
    return (vector_of<T>)_mm512_or_pd(one, other);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (vector_of<T>)_mm256_or_ps(_mm256_max_ps((__m256)a, (__m256)b), _mm256_max_ps((__m256)b, (__m256)a));
  } else {
    return (vector_of<T>)_mm256_or_pd(_mm256_max_pd((__m256d)a, (__m256d)b), _mm256_max_pd((__m256d)b, (__m256d)a));
  }
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 4) {
    return (vector_of<T>)_mm_or_ps(_mm_max_ps((__m128)a, (__m128)b), _mm_max_ps((__m128)b, (__m128)a));
  } else {
    return (vector_of<T>)_mm_or_pd(_mm_max_pd((__m128d)a, (__m128d)b), _mm_max_pd((__m128d)b, (__m128d)a));
  }
#else
  const vector_of<T> larger = a > b ? a : b;
  return a != a ? a : larger;
#endif
}

// The even or the odd elements of two vectors that follow each other; and back: low or high half of their mixture.
template <class V, int Lanes, bool Odd, int... I>
FREQOPS_HOST_DEVICE V every_second(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (2 * I + (Odd ? 1 : 0))...);
}
template <class V, int Lanes, bool High, int... I>
FREQOPS_HOST_DEVICE V alternate(V even, V odd, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(even, odd, ((High ? Lanes / 2 : 0) + I / 2 + (I % 2 ? Lanes : 0))...);
}
template <class T>
FREQOPS_HOST_DEVICE void deinterleave(const T* p, T* even, T* odd) {
  using Lanes = std::make_integer_sequence<int, kLanes<T>>;
  const vector_of<T> a = load(p), b = load(p + kLanes<T>);
  store(even, every_second<vector_of<T>, kLanes<T>, false>(a, b, Lanes{}));
  store(odd, every_second<vector_of<T>, kLanes<T>, true>(a, b, Lanes{}));
}
template <class T>
FREQOPS_HOST_DEVICE void interleave(const T* even, const T* odd, T* p) {
  using Lanes = std::make_integer_sequence<int, kLanes<T>>;
  const vector_of<T> a = load(even), b = load(odd);
  store(p, alternate<vector_of<T>, kLanes<T>, false>(a, b, Lanes{}));
  store(p + kLanes<T>, alternate<vector_of<T>, kLanes<T>, true>(a, b, Lanes{}));
}

namespace transpose_detail {

// The shuffles below are those the instruction sets have: unpack low/high inside each 128-bit block, and the
// even or odd 128-bit blocks of two vectors.
template <int Lanes, int Block, int Run, bool High>
constexpr int unpack_index(int i) {
  const int block = i / Block, j = i % Block;
  const int source = (High ? Block / 2 : 0) + j / (2 * Run) * Run + j % Run;
  return block * Block + source + ((j / Run) % 2 ? Lanes : 0);
}
template <int Lanes, int Block, bool Odd>
constexpr int block_index(int i) {
  const int block = i / Block, blocks = Lanes / Block;
  const int source = 2 * (block % (blocks / 2)) + (Odd ? 1 : 0);
  return source * Block + i % Block + (block >= blocks / 2 ? Lanes : 0);
}
template <int Lanes, int Block, int Run, bool High, class V, int... I>
FREQOPS_HOST_DEVICE V unpack(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, unpack_index<Lanes, Block, Run, High>(I)...);
}
template <int Lanes, int Block, bool Odd, class V, int... I>
FREQOPS_HOST_DEVICE V blocks(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, block_index<Lanes, Block, Odd>(I)...);
}

// Transposes each Block x Block square inside the 128-bit blocks: log2(Block) steps.
template <int Lanes, int Block, int Run, class V>
FREQOPS_HOST_DEVICE void transpose_inside(V (&row)[Lanes]) {
  using Index = std::make_integer_sequence<int, Lanes>;
  V next[Lanes];
#pragma GCC unroll 16
  for (int i = 0; i < Lanes; ++i) {
    if (i & Run) continue;
    const int out = i / (2 * Run) * (2 * Run) + 2 * (i % Run);
    next[out] = unpack<Lanes, Block, Run, false>(row[i], row[i + Run], Index{});
    next[out + 1] = unpack<Lanes, Block, Run, true>(row[i], row[i + Run], Index{});
  }
#pragma GCC unroll 16
  for (int i = 0; i < Lanes; ++i) row[i] = next[i];
  if constexpr (2 * Run < Block) transpose_inside<Lanes, Block, 2 * Run>(row);
}

// Transposes the matrix of 128-bit blocks: rows i, i + Block, i + 2 Block, ... gather their like-numbered blocks.
template <int Lanes, int Block, int Step, class V>
FREQOPS_HOST_DEVICE void transpose_blocks(V (&row)[Lanes]) {
  using Index = std::make_integer_sequence<int, Lanes>;
  V next[Lanes];
#pragma GCC unroll 16
  for (int i = 0; i < Lanes; ++i) {
    if (i & Step) continue;
    next[i] = blocks<Lanes, Block, false>(row[i], row[i + Step], Index{});
    next[i + Step] = blocks<Lanes, Block, true>(row[i], row[i + Step], Index{});
  }
#pragma GCC unroll 16
  for (int i = 0; i < Lanes; ++i) row[i] = next[i];
  if constexpr (2 * Step < Lanes) transpose_blocks<Lanes, Block, 2 * Step>(row);
}

}  // namespace transpose_detail

// Transposes a square of kLanes x kLanes elements: row i is read at source(i), column i given to put(i, vector).
template <class T, class Source, class Put>
FREQOPS_HOST_DEVICE void transpose_to(Source&& source, Put&& put) {
  vector_of<T> row[kLanes<T>];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i) row[i] = load<T>(source(i));
  constexpr int kBlock = 16 / sizeof(T);
  transpose_detail::transpose_inside<kLanes<T>, kBlock, 1>(row);
  if constexpr (kLanes<T> > kBlock) transpose_detail::transpose_blocks<kLanes<T>, kBlock, kBlock>(row);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i) put(i, row[i]);
}
// Column i is written at target(i).
template <class T, class Source, class Target>
FREQOPS_HOST_DEVICE void transpose_square(Source&& source, Target&& target) {
  transpose_to<T>(source, [&](int i, vector_of<T> v) __attribute__((always_inline)) { store<T>(target(i), v); });
}
template <class T>
FREQOPS_HOST_DEVICE void transpose(const T* source, ptrdiff_t source_stride, T* target, ptrdiff_t target_stride) {
  transpose_square<T>([=](int i) { return source + i * source_stride; },
                      [=](int i) { return target + i * target_stride; });
}

}  // namespace cpu::FREQOPS_LEVEL
}  // namespace freqops
