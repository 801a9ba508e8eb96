// The tiled form of the pools, forwards and of the plain blur's adjoint: any taps, strides, windows, padding, layouts and
// element types, as long as a tile fits shared memory. A block
//
//   lists      where each staged row and column comes from, padding included, and what each result sums up
//   stages     that part of the input in shared memory, or the maxima of it (blur_pool_tile_maximum.cuh)
//   blurs      it along the rows: kAlong rows per thread, which share what is known of a column
//   blurs      that down the columns: up to four columns per thread, and stores
//
// Along either axis result i is the sum over k < count of taps[tap + k tap_step] * staged[first + k], which the map and
// its adjoint differ in only by what the lists say. The adjoint has terms beside that at the borders
// (blur_pool_tile_borders.cuh).
#pragma once

#include "blur_pool_tile.h"
#include "blur_pool_tile_borders.cuh"
#include "blur_pool_tile_maximum.cuh"

namespace freqops::cuda {

template <class T, PoolMap Map>
class TileWork {
 public:
  FREQOPS_HOST_DEVICE TileWork(const TileArguments& arguments, unsigned char* shared)
      : arguments_(arguments), memory_(arguments, shared) {}

  // --- lists ------------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void find_place(unsigned block, int thread) const {
    if (thread == 0) *memory_.place = place_of(block);
  }
  FREQOPS_HOST_DEVICE void list(int thread) const {
    const TileArguments& a = arguments_;
    const TilePlace& place = *memory_.place;
    const int64_t row = kMaxima ? 1 : a.from.row_stride * kSize, column = kMaxima ? 1 : a.from.column_stride * kSize;
    each(thread, a.staged_rows, [&](int i) {
      const int source = i < a.h.sources ? source_of(a.h, place.row, i) : -1;
      memory_.rows[i] = source < 0 ? -1 : source * row;
    });
    each(thread, a.w.sources, [&](int i) {
      const int source = source_of(a.w, place.column, i);
      memory_.columns[i] = source < 0 ? -1 : source * column;
    });
    each(thread, a.h.tile, [&](int i) { memory_.row_terms[i] = terms_of(a.h, place.row, i); });
    each(thread, a.w.tile, [&](int i) { memory_.column_terms[i] = terms_of(a.w, place.column, i); });
    each(thread, a.line, [&](int i) {
      const TileColumn at(a, a.line_inner, i);
      const int result = place.column + at.place;
      const bool exists = at.unit < place.units && result < a.w.results;
      const int64_t to = at.unit * a.to.channel_stride + result * a.to.column_stride;
      memory_.targets[i] = exists ? to * kSize : -1;
    });
    list_taps(a.taps_h, a.h.axis.taps, memory_.taps_h, place, thread);
    list_taps(a.taps_w, a.w.axis.taps, memory_.taps_w, place, thread);
  }

  // --- stages -----------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void stage(int thread) const {
    const TileArguments& a = arguments_;
    const TilePlace& place = *memory_.place;
    const int line = a.staged_line;
    for_groups<kStagedRows>(thread, a.staged_rows, line, [&](int row, int index) FREQOPS_INLINED {
      const TileColumn column(a, a.staged_inner, index);
      const int64_t across = column.unit < place.units ? memory_.columns[column.place] : -1;
      const char* at = place.from + across + column.unit * a.from.channel_stride * kSize;
      T elements[kStagedRows];
      static_for<kStagedRows>([&](auto i) FREQOPS_INLINED {
        const int64_t down = memory_.rows[row + i];
        elements[i] = (across | down) < 0 ? zero<T>() : load_element(reinterpret_cast<const T*>(at + down));
      });
      Value* to = memory_.tile + row * line + index;
      static_for<kStagedRows>([&](auto i) FREQOPS_INLINED { to[i * line] = to_float(elements[i]); });
    });
  }

  // --- blurs ------------------------------------------------------------------------------------------

  FREQOPS_HOST_DEVICE void blur_along(int thread) const {
    const TileArguments& a = arguments_;
    const int line = a.line, staged = a.staged_line, step = a.staged_step;
    for_groups<kAlong>(thread, a.staged_rows, line, [&](int row, int index) FREQOPS_INLINED {
      const TileColumn column(a, a.line_inner, index);
      const TileTerms terms = memory_.column_terms[column.place];
      const Value* taps = memory_.taps_w + column.unit * a.own_taps_w;
      const Value* from = memory_.tile + row * staged + column.unit * a.staged_unit_step;
      Value sums[kAlong] = {};
      const Value *at = from + terms.first * step, *tap = taps + terms.tap;
      const Value* const end = tap + terms.count * a.w.tap_step;
      FREQOPS_ONE_TURN
      for (; tap != end; tap += a.w.tap_step) {
        static_for<kAlong>([&](auto i) { sums[i] += *tap * at[i * staged]; });
        at += step;
      }
      if constexpr (Map == PoolMap::kBlurAdjoint) {
        if (!a.w.shown.holds(terms.result)) borders().add_along(terms.result, column.unit, row, taps, from, sums);
      }
      Value* to = memory_.scratch + row * line + index;
      static_for<kAlong>([&](auto i) { to[i * line] = sums[i]; });
    });
  }

  FREQOPS_HOST_DEVICE void blur_down(int thread) const {
    if (arguments_.line > kTileLine / 2) {
      blur_columns<kTileLine / kTileWarp>(thread);
    } else {
      blur_columns<kTileLine / kTileWarp / 2>(thread);
    }
  }

  FREQOPS_HOST_DEVICE TileMaximum<T, Map == PoolMap::kMaxBlurSelect> maximum() const { return {arguments_, memory_}; }

 private:
  using Value = value_of<T>;
  static constexpr int kAlong = 8, kSize = sizeof(T);
  static_assert(kStagedRows % kAlong == 0);
  static constexpr bool kMaxima = Map == PoolMap::kMaxBlur || Map == PoolMap::kMaxBlurSelect;

  FREQOPS_HOST_DEVICE TileBorders<T> borders() const { return {arguments_, memory_}; }

  template <class F>
  static FREQOPS_HOST_DEVICE void each(int thread, int count, F&& f) {
    FREQOPS_ONE_TURN
    for (int i = thread; i < count; i += kTileThreads) f(i);
  }

  FREQOPS_HOST_DEVICE TilePlace place_of(unsigned block) const {
    const TileArguments& a = arguments_;
    const auto take = [&](int count) {
      const unsigned whole = block / static_cast<unsigned>(count), left = block - whole * static_cast<unsigned>(count);
      block = whole;
      return static_cast<int>(left);
    };
    const int column = take(a.tiles_w) * a.w.tile, row = take(a.tiles_h) * a.h.tile;
    const int64_t channel = int64_t{take(a.groups)} * a.units, left = a.to.channels - channel;
    return {.from = plane(a.from, block, channel),
            .values = plane(a.values, block, channel),
            .to = plane(a.to, block, channel),
            .channel = channel,
            .units = left < a.units ? static_cast<int>(left) : a.units,
            .row = row,
            .column = column,
            .lowest_row = kMaxima ? lowest_source(a.h, row) : 0};
  }
  static FREQOPS_HOST_DEVICE char* plane(const Images& images, int64_t image, int64_t channel) {
    return static_cast<char*>(images.data) + (image * images.batch_stride + channel * images.channel_stride) * kSize;
  }
  // Of the samples that the positions of a tile show. Reflected ones rise from each multiple of the period, where sample
  // 0 is, and fall to the next, so that else the first or the last is the lowest.
  static FREQOPS_HOST_DEVICE int lowest_source(const TileAxis& h, int first) {
    const AdjointAxis& axis = h.axis;
    const int p = first * axis.stride - axis.before, last = p + h.sources - 1, period = 2 * (axis.size - 1);
    if (axis.mode != PaddingMode::kReflect || period == 0) return clamped(p, axis.size);
    if (p >= 0 && last < axis.size) return p;
    const auto periods = [&](int i) { return i >= 0 ? i / period : -((-i + period - 1) / period); };
    if (periods(last) != periods(p - 1)) return 0;
    const int a = source_index(p, axis.size, axis.mode), b = source_index(last, axis.size, axis.mode);
    return a < b ? a : b;
  }

  static FREQOPS_HOST_DEVICE int source_of(const TileAxis& axis, int first, int i) {
    const AdjointAxis& blur = axis.axis;
    if constexpr (Map == PoolMap::kBlurAdjoint) {
      const int output = blur.first_output(first) + i;
      return output < blur.outputs ? output : -1;
    } else {
      const int result = axis.by_step.quotient(i);
      const int position = (first + result) * blur.stride + (i - result * axis.step) - blur.before;
      return source_index(position, blur.size, blur.mode);
    }
  }
  static FREQOPS_HOST_DEVICE TileTerms terms_of(const TileAxis& axis, int first, int i) {
    const AdjointAxis& blur = axis.axis;
    const int result = first + i;
    if constexpr (Map == PoolMap::kBlurAdjoint) {
      if (result >= blur.size) return {0, 0, 0, result};
      const int output = blur.first_output(result), last = blur.last_output(result);
      const int count = last < output ? 0 : last - output + 1;
      return {output - blur.first_output(first), result + blur.before - output * blur.stride, count, result};
    } else {
      return {i * axis.step, 0, blur.taps, result};
    }
  }

  FREQOPS_HOST_DEVICE void list_taps(const void* taps, int count, Value* to, const TilePlace& place, int thread) const {
    const Value* from = static_cast<const Value*>(taps) + (arguments_.per_channel ? place.channel * count : 0);
    const int sets = arguments_.per_channel ? place.units : 1;
    each(thread, count * sets, [&](int i) { to[i] = load_element(from + i); });
  }

  // Down Down columns, a warp apart.
  template <int Down>
  FREQOPS_HOST_DEVICE void blur_columns(int thread) const {
    const TileArguments& a = arguments_;
    const int line = a.line, lane = static_cast<int>(static_cast<unsigned>(thread) % kTileWarp);
    int64_t across[Down];
    static_for<Down>([&](auto i) {
      const int index = lane + i * kTileWarp;
      across[i] = index < line ? memory_.targets[index] : -1;
    });
    FREQOPS_ONE_TURN
    for (int row = static_cast<int>(static_cast<unsigned>(thread) / kTileWarp); row < a.h.tile;
         row += kTileThreads / kTileWarp) {
      const TileTerms terms = memory_.row_terms[row];
      if (terms.result >= a.h.results) return;
      Value sums[Down] = {};
      const Value *at = memory_.scratch + terms.first * line + lane, *tap = memory_.taps_h + terms.tap;
      if (a.per_channel) {
        add_down(terms.count, at, tap, sums, [&](auto i) { return unit_at(lane + i * kTileWarp) * a.own_taps_h; });
      } else {
        add_down(terms.count, at, tap, sums, [](auto) { return 0; });
      }
      if constexpr (Map == PoolMap::kBlurAdjoint) {
        if (!a.h.shown.holds(terms.result)) {
          FREQOPS_ONE_TURN
          for (int index = lane; index < line; index += kTileWarp) {  // one copy of what is seldom needed
            const Value beside = memory_.targets[index] >= 0 ? borders().down(terms.result, index) : 0;
            static_for<Down>([&](auto i) { sums[i] += index == lane + i * kTileWarp ? beside : 0; });
          }
        }
      }
      char* to = memory_.place->to + terms.result * a.to.row_stride * kSize;
      static_for<Down>([&](auto i) FREQOPS_INLINED {
        if (across[i] >= 0) store_value(reinterpret_cast<T*>(to + across[i]), sums[i]);
      });
    }
  }
  // Of a place of a line of results, which may be one behind its end.
  FREQOPS_HOST_DEVICE int unit_at(int index) const {
    return index < arguments_.line ? TileColumn(arguments_, arguments_.line_inner, index).unit : 0;
  }
  template <int Down, class TapOf>
  FREQOPS_HOST_DEVICE void add_down(int count, const Value* at, const Value* tap, Value (&sums)[Down],
                                    TapOf&& tap_of) const {
    int own[Down];
    static_for<Down>([&](auto i) { own[i] = tap_of(i); });
    const int line = arguments_.line;
    const Value* const end = tap + count * arguments_.h.tap_step;
    FREQOPS_ONE_TURN
    for (; tap != end; tap += arguments_.h.tap_step) {
      static_for<Down>([&](auto i) { sums[i] += tap[own[i]] * at[i * kTileWarp]; });
      at += line;
    }
  }

  const TileArguments& arguments_;
  TileMemory<Value> memory_;
};

template <class T, PoolMap Map>
struct BlurTile {
  static constexpr int kThreads = kTileThreads, kBlocksPerSm = Map == PoolMap::kBlurAdjoint ? 3 : 4, kSharedBytes = 0,
                       kClusterBlocks = 1;
  using Arguments = TileArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    const TileWork<T, Map> work(arguments, phases.own_shared());
    phases.run([&](int thread) { work.find_place(index, thread); });
    phases.run([&](int thread) { work.list(thread); });
    if constexpr (Map == PoolMap::kMaxBlur || Map == PoolMap::kMaxBlurSelect) {
      phases.run([&](int thread) { work.maximum().along(thread); });
      phases.run([&](int thread) { work.maximum().down(thread); });
    } else {
      phases.run([&](int thread) { work.stage(thread); });
    }
    phases.run([&](int thread) { work.blur_along(thread); });
    phases.run([&](int thread) { work.blur_down(thread); });
  }
};

template <class Launcher, class T, PoolMap Map>
int run_blur_tiled(const Launcher& launcher, const TilePlan& plan) {
  return launcher.template run<BlurTile<T, Map>>(plan.blocks(), static_cast<int>(plan.shared_bytes()),
                                                 plan.arguments());
}

}  // namespace freqops::cuda
