// The lines form of separable maps: a matrix along one axis of [outer, size, inner], for any sizes. A block has
// kBlockLines lines and kBlockTiles tiles of pairs of outputs. In turns it stages kBlockSamples samples of its lines,
// folded (separable_axis.h), beside the weights that go with them, and adds their products to the sums, which lie in
// shared memory: what a thread reads and writes of them there is a fiftieth of what it multiplies. A map of two axes is
// two such kernels.
#pragma once

#include "separable_axis.h"

namespace freqops::cuda {

inline constexpr int kBlockLines = 64, kBlockTiles = 8, kBlockPairs = kBlockTiles * kTilePairs, kBlockSamples = 32;

template <class T, class U, class Value>
struct SeparableLinesArguments {
  SeparableAxis<Value> axis;
  const T* x;  // [outer, axis.size, inner]
  U* y;        // [outer, axis.results, inner]
  int64_t outer, inner;

  FREQOPS_HOST_DEVICE int tile_groups() const { return (axis.tiles + kBlockTiles - 1) / kBlockTiles; }
  FREQOPS_HOST_DEVICE int64_t lines() const { return outer * inner; }
  FREQOPS_HOST_DEVICE int64_t blocks() const { return (lines() + kBlockLines - 1) / kBlockLines * tile_groups(); }
};

template <class T, class U, class Value>
class SeparableLinesWork {
 public:
  using Arguments = SeparableLinesArguments<T, U, Value>;
  static constexpr int kThreads = kBlockLines / 4 * kBlockTiles;

  struct Shared {
    Value lines[kBlockLines][2 * kBlockSamples + 4];  // e, then o
    Four<Value> weights[2][kBlockTiles][kBlockSamples + 1];
    Four<Value> sums[2][4][kThreads];
  };

  FREQOPS_HOST_DEVICE SeparableLinesWork(const Arguments& arguments, unsigned block, unsigned char* shared)
      : a_(arguments),
        shared_(*reinterpret_cast<Shared*>(shared)),
        first_line_(int64_t{block / static_cast<unsigned>(arguments.tile_groups())} * kBlockLines),
        first_tile_(static_cast<int>(block % static_cast<unsigned>(arguments.tile_groups())) * kBlockTiles) {}

  FREQOPS_HOST_DEVICE void stage(int start, int thread) const {
    if (a_.inner == 1) {
      // Neighbouring threads read neighbouring samples of a line.
      for (int i = thread; i < kBlockLines * kBlockSamples; i += kThreads) {
        stage_sample(start, first_line_ + i / kBlockSamples, 0, i / kBlockSamples, i % kBlockSamples);
      }
    } else {
      const int line = thread % kBlockLines;
      const int64_t outer = (first_line_ + line) / a_.inner, inner = first_line_ + line - outer * a_.inner;
      for (int i = thread / kBlockLines; i < kBlockSamples; i += kThreads / kBlockLines) {
        stage_sample(start, outer, inner, line, i);
      }
    }
    FREQOPS_ONE_TURN
    for (int i = thread; i < 2 * kBlockSamples * kBlockPairs; i += kThreads) {
      const int n = i % kBlockSamples, rest = i / kBlockSamples, place = rest % kBlockPairs, half = rest / kBlockPairs;
      const int pair = pair_of(place / kTilePairs, place % kTilePairs);
      const Value weight = pair < a_.axis.pairs ? a_.axis.weight(half, pair, start + n) : 0;
      shared_.weights[half][place / kTilePairs][n].at[place % kTilePairs] = weight;
    }
  }

  FREQOPS_HOST_DEVICE void add(int start, int thread) const {
    const int tile = thread % kBlockTiles, line = thread / kBlockTiles;
    if (first_tile_ + tile >= a_.axis.tiles) return;
    FREQOPS_ONE_TURN
    for (int half = 0; half < 2; ++half) {
      const int all = half == 0 ? a_.axis.even : a_.axis.odd, left = all - start;
      const Value* from[4];
      static_for<4>([&](auto i) {
        from[i] = shared_.lines[line + i * (kBlockLines / 4)] + (a_.axis.mirrored ? half * kBlockSamples : 0);
      });
      Value sums[4][kTilePairs];
      static_for<4>([&](auto i) {
        const Four<Value> four = shared_.sums[half][i][thread];
        static_for<kTilePairs>([&](auto k) { sums[i][k] = start == 0 ? 0 : four.at[k]; });
      });
      add_along(sums, from, shared_.weights[half][tile], left < kBlockSamples ? left : kBlockSamples);
      static_for<4>([&](auto i) {
        Four<Value> four;
        static_for<kTilePairs>([&](auto k) { four.at[k] = sums[i][k]; });
        shared_.sums[half][i][thread] = four;
      });
    }
  }

  FREQOPS_HOST_DEVICE void store(int thread) const {
    FREQOPS_ONE_TURN
    for (int i = thread; i < kBlockLines * kBlockPairs; i += kThreads) {
      // Neighbours in memory: pairs of a line (the tile changes first), or lines.
      const bool along = a_.inner == 1;
      const int line = along ? i / kBlockPairs : i % kBlockLines, place = along ? i % kBlockPairs : i / kBlockLines;
      const int tile = place % kBlockTiles, k = place / kBlockTiles;
      if (first_line_ + line >= a_.lines() || first_tile_ + tile >= a_.axis.tiles) continue;
      const int pair = pair_of(tile, k), one = a_.axis.first_output(pair), other = a_.axis.second_output(pair);
      const int owner = line % (kBlockLines / 4) * kBlockTiles + tile, row = line / (kBlockLines / 4);
      const Value p = shared_.sums[0][row][owner].at[k], q = shared_.sums[1][row][owner].at[k];
      const bool mirrored = a_.axis.mirrored;
      const int64_t outer = along ? first_line_ + line : (first_line_ + line) / a_.inner;
      const int64_t inner = first_line_ + line - outer * a_.inner;
      U* to = a_.y + outer * a_.axis.results * a_.inner + inner;
      if (one >= 0) store_value(to + one * a_.inner, mirrored ? p + q : p);
      if (other >= 0) store_value(to + other * a_.inner, mirrored ? p - q : q);
    }
  }

 private:
  FREQOPS_HOST_DEVICE int pair_of(int tile, int k) const { return first_tile_ + tile + k * a_.axis.tiles; }

  FREQOPS_HOST_DEVICE void stage_sample(int start, int64_t outer, int64_t inner, int line, int i) const {
    const int n = start + i, other = a_.axis.partner(n);
    const bool exists = n < a_.axis.unpaired() && outer < a_.outer;
    const T* x = a_.x + outer * a_.axis.size * a_.inner + inner;
    const auto load = [&](int sample, bool there) {
      return there ? to_float(load_element(x + sample * a_.inner)) : Value{0};
    };
    const Value one = load(n, exists), partner = load(other, exists && other >= 0);
    shared_.lines[line][i] = one + partner;
    shared_.lines[line][kBlockSamples + i] = other >= 0 ? one - partner : Value{0};
  }

  const Arguments& a_;
  Shared& shared_;
  const int64_t first_line_;
  const int first_tile_;
};

template <class T, class U, class Value>
struct SeparableLines {
  using Work = SeparableLinesWork<T, U, Value>;
  static constexpr int kThreads = Work::kThreads, kBlocksPerSm = sizeof(Value) > 4 ? 2 : 4,
                       kSharedBytes = sizeof(typename Work::Shared), kClusterBlocks = 1;
  using Arguments = typename Work::Arguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    const Work work(arguments, index, phases.own_shared());
    FREQOPS_ONE_TURN
    for (int start = 0; start < arguments.axis.even; start += kBlockSamples) {
      phases.run([&](int thread) { work.stage(start, thread); });
      phases.run([&](int thread) { work.add(start, thread); });
    }
    phases.run([&](int thread) { work.store(thread); });
  }
};

// y[p, h, w] = sums[p, h, w] + p_h[h] p_w[w] sums[p, height, width], channels innermost: what is left of an outer term
// where the form is lines.
template <class U, class Value>
struct SeparableOuter {
  static constexpr int kThreads = 256, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    const Value* sums;  // [planes, height + 1, width + 1, channels]
    U* y;               // [planes, height, width, channels]
    const Value *p_h, *p_w;
    int64_t planes, height, width, channels;
  };

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& a) {
    phases.run([&](int thread) {
      const int64_t number = int64_t{index} * kThreads + thread, line = number / a.channels;
      const int64_t c = number - line * a.channels, rows = line / a.width, w = line - rows * a.width;
      const int64_t plane = rows / a.height, h = rows - plane * a.height;
      if (plane >= a.planes) return;
      const Value* sums = a.sums + plane * (a.height + 1) * (a.width + 1) * a.channels + c;
      const Value last = sums[(a.height * (a.width + 1) + a.width) * a.channels];
      const Value one = sums[(h * (a.width + 1) + w) * a.channels];
      store_value(a.y + number, one + last * load_element(a.p_h + h) * load_element(a.p_w + w));
    });
  }
};

}  // namespace freqops::cuda
