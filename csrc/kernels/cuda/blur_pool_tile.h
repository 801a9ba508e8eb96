// How the tiled form (blur_pool_tile.cuh) divides a problem among blocks. Host code, apart from the structs.
//
// A tile is some rows of a map of results, and a line of at most kTileLine columns: neighbouring columns of one plane or
// of several (NCHW), or a few columns of neighbouring channels (NHWC). Planes or channels of a tile are its units.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>

#include "blur_pool_adjoint_axis.h"
#include "divisor.h"

namespace freqops::cuda {

inline constexpr int kTileThreads = 256, kTileLine = 128;
inline constexpr int kStagedRows = 8;         // that a thread loads before it uses one
inline constexpr int kMaximumRows = 4;        // of which it finds maxima at a time
inline constexpr int kTileBytes = 48 * 1024;  // that any device grants
inline constexpr int64_t kTilePlaceBytes = 64, kTileTermsBytes = 16, kTileOffsetBytes = 8;

struct TileAxis {
  AdjointAxis axis;
  ShownOnce shown;
  MaxAxis max;
  int results;  // of the whole map: outputs, or samples of an adjoint
  int tile;     // results of a tile
  int sources;  // samples that those read, all of them staged
  int step;     // from the samples of one result to those of the next, where they lie staged
  Divisor by_step;
  int tap_step;  // from a tap of a result to the next
};

struct TileArguments {
  Images from, to, values;  // values: of kMaxBlurSelect
  TileAxis h, w;
  const void *taps_h, *taps_w;
  bool per_channel, interleaved;
  bool shared_rows;  // windows of neighbouring rows have their rows in common, see TileMaximum
  int units;
  Divisor line_inner, staged_inner;  // what is innermost in a line of results, in one of staged samples
  int tiles_h, tiles_w, groups;      // blocks of an image; groups of units

  // What follows from these, once for all threads: lengths, steps in staged lines, places in shared memory in bytes.
  int line, staged_line, staged_rows, maximum_rows;
  int staged_step, staged_unit_step;    // from a sample to the next of its unit, to that of the next unit
  int own_taps_h, own_taps_w;           // from the taps of a unit to the next one's, 0 where all share them
  int rows_at, columns_at, targets_at;  // see TileMemory
  int column_terms_at, taps_h_at, taps_w_at, tile_at, scratch_at;
  int64_t shared_bytes;
};

class TilePlan {
 public:
  TilePlan(const MaxBlurPool& problem, PoolMap map, int value_bytes)
      : map_(map), value_bytes_(value_bytes), problem_(problem), h_(problem.blur.h) {
    const bool adjoint = map == PoolMap::kBlurAdjoint;
    arguments_.from = adjoint ? problem.blur.y : problem.blur.x;
    arguments_.to = adjoint ? problem.v : problem.blur.y;
    arguments_.values = map == PoolMap::kMaxBlurSelect ? problem.v : arguments_.from;
    arguments_.taps_h = problem.blur.taps_h;
    arguments_.taps_w = problem.blur.taps_w;
    arguments_.per_channel = problem.blur.per_channel;
    const Images& to = arguments_.to;
    arguments_.interleaved = to.channels > 1 && to.channel_stride == 1 && to.column_stride != 1;
    fold_images();
    if (is_identity()) fold_rows();
  }

  // False where no tile fits shared memory: very long taps.
  bool make(int multiprocessors) {
    if (!make_axis(h_, problem_.max_h, arguments_.h)) return false;
    if (!make_axis(problem_.blur.w, problem_.max_w, arguments_.w)) return false;
    arguments_.shared_rows = h_.mode != PaddingMode::kCircular && h_.stride <= h_.taps;
    // A line that is not full costs as much as a full one, so short ones are for what else does not fit.
    for (int line = kTileLine; line > 0 && (best_cost_ < 0 || line >= kTileLine / 4); line /= 2) {
      for (const int units : {line, 32, 16, 8}) {
        if (units <= line) try_line(line, units);
        if (!arguments_.interleaved) break;
      }
    }
    if (best_cost_ < 0) return false;
    // A few more rows are read, so that no multiprocessor is idle.
    while (arguments_.h.tile > 4 && blocks() < 2 * multiprocessors) set_rows((arguments_.h.tile + 1) / 2);
    return blocks() <= INT_MAX;
  }

  const TileArguments& arguments() const { return arguments_; }
  int64_t blocks() const {
    return int64_t{arguments_.tiles_h} * arguments_.tiles_w * arguments_.groups * arguments_.to.batch;
  }
  int64_t shared_bytes() const { return arguments_.shared_bytes; }

 private:
  // Planes of all images are one image's where that is how they lie and channels do not differ.
  void fold_images() {
    Images* const images[] = {&arguments_.from, &arguments_.to, &arguments_.values};
    const bool foldable =
        !arguments_.interleaved && !arguments_.per_channel && std::all_of(images, images + 3, [](const Images* one) {
          return one->batch == 1 || one->batch_stride == one->channels * one->channel_stride;
        });
    if (!foldable) return;
    for (Images* one : images) {
      one->channels *= one->batch;
      one->batch = 1;
    }
  }
  // Whether the columns are left as they are, but for a factor: a blur of rows alone.
  bool is_identity() const {
    return h_.taps == 1 && h_.stride == 1 && h_.before == 0 && h_.outputs == h_.size && problem_.max_h.window == 1;
  }
  // Then planes are more rows, which a thread stages and blurs several at a time.
  void fold_rows() {
    Images* const images[] = {&arguments_.from, &arguments_.to, &arguments_.values};
    constexpr int64_t kMostRows = int64_t{1} << 27;
    const auto all = [&](auto&& holds) { return std::all_of(images, images + 3, holds); };
    const int64_t height = h_.size, batch = arguments_.to.batch, channels = arguments_.to.channels;
    if (!arguments_.interleaved && !arguments_.per_channel && batch == 1 && channels <= kMostRows / height &&
        all([&](const Images* one) { return one->channel_stride == height * one->row_stride; })) {
      for (Images* one : images) one->channels = 1;
      h_.size = h_.outputs = height * channels;
    } else if (batch <= kMostRows / height &&
               (height == 1 || all([&](const Images* one) { return one->batch_stride == height * one->row_stride; }))) {
      for (Images* one : images) {
        if (height == 1) one->row_stride = one->batch_stride;
        one->batch = 1;
      }
      h_.size = h_.outputs = height * batch;
    }
    for (Images* one : images) one->height = h_.size;
  }
  bool make_axis(const BlurAxis& blur, const MaxAxis& max, TileAxis& axis) const {
    if (!make_adjoint_axis(blur, axis.axis)) return false;
    const bool adjoint = map_ == PoolMap::kBlurAdjoint;
    axis.shown = shown_once(axis.axis);
    axis.max = max;
    axis.results = adjoint ? axis.axis.size : axis.axis.outputs;
    axis.step = std::min(axis.axis.stride, axis.axis.taps);
    axis.by_step = Divisor(axis.step);
    axis.tap_step = adjoint ? -axis.axis.stride : 1;
    return axis.axis.taps <= kTileBytes && max.window <= kTileBytes;
  }
  // A tile of about so many results, none much smaller than the others.
  void set_tile(TileAxis& axis, int about, int& tiles) const {
    const auto count = [&] { return (axis.results + axis.tile - 1) / axis.tile; };
    axis.tile = std::clamp(about, 1, axis.results);
    tiles = count();
    axis.tile = (axis.results + tiles - 1) / tiles;
    tiles = count();
    if (map_ == PoolMap::kBlurAdjoint) {
      axis.sources = (axis.tile + axis.axis.taps - 2) / axis.axis.stride + 1;
    } else {
      axis.sources = (axis.tile - 1) * axis.step + axis.axis.taps;
    }
  }
  void set_rows(int rows) {
    set_tile(arguments_.h, rows, arguments_.tiles_h);
    lay_out();
  }
  // Places in shared memory mean nothing where shared_bytes is more than there is.
  void lay_out() {
    TileArguments& a = arguments_;
    const int64_t line = int64_t{a.w.tile} * a.units, staged_line = int64_t{a.w.sources} * a.units;
    const auto rounded = [](int64_t count, int to) { return (count + to - 1) / to * to; };
    const int64_t rows = rounded(a.h.sources, kStagedRows);
    const int64_t maxima =
        rounded(a.shared_rows ? a.h.sources + a.h.max.window - 1 : int64_t{a.h.sources} * a.h.max.window, kMaximumRows);
    const int64_t tap_sets = a.per_channel ? a.units : 1;
    int64_t at = kTilePlaceBytes + kTileTermsBytes * a.h.tile;
    const auto take = [&](int64_t count, int64_t bytes) {
      const int64_t start = at;
      at += count * bytes;
      return static_cast<int>(start);
    };
    a.column_terms_at = take(a.w.tile, kTileTermsBytes);
    a.rows_at = take(rows, kTileOffsetBytes);
    a.columns_at = take(a.w.sources, kTileOffsetBytes);
    a.targets_at = take(line, kTileOffsetBytes);
    a.taps_h_at = take(a.h.axis.taps * tap_sets, value_bytes_);
    a.taps_w_at = take(a.w.axis.taps * tap_sets, value_bytes_);
    a.tile_at = take(rows * staged_line, value_bytes_);
    // A line more, because threads read on behind the last one.
    int64_t scratch = rows * line + kTileLine;
    if (map_ == PoolMap::kMaxBlur) scratch = std::max(scratch, maxima * staged_line);
    if (map_ == PoolMap::kMaxBlurSelect) scratch = std::max(scratch, 2 * maxima * staged_line);
    a.scratch_at = take(scratch, value_bytes_);
    a.shared_bytes = at;
    a.line = static_cast<int>(line);
    a.staged_line = static_cast<int>(staged_line);
    a.staged_rows = static_cast<int>(rows);
    a.maximum_rows = static_cast<int>(maxima);
    a.staged_step = a.interleaved ? a.units : 1;
    a.staged_unit_step = a.interleaved ? 1 : a.w.sources;
    a.own_taps_h = a.per_channel ? a.h.axis.taps : 0;
    a.own_taps_w = a.per_channel ? a.w.axis.taps : 0;
  }

  void try_line(int line, int most_units) {
    TileArguments& a = arguments_;
    const TileArguments kept = a;
    const int64_t channels = a.to.channels;
    const auto units_of = [&](int64_t about) {
      const int64_t groups = (channels + about - 1) / about;
      return static_cast<int>((channels + groups - 1) / groups);
    };
    a.units = a.interleaved ? units_of(most_units) : 1;
    set_tile(a.w, line / a.units, a.tiles_w);
    if (!a.interleaved) a.units = units_of(line / a.w.tile);
    const int64_t groups = (channels + a.units - 1) / a.units;
    a.groups = static_cast<int>(groups);
    a.line_inner = Divisor(a.interleaved ? a.units : a.w.tile);
    a.staged_inner = Divisor(a.interleaved ? a.units : a.w.sources);
    bool taken = false;
    for (const int rows : {64, 48, 32, 24, 20, 16, 12, 10, 8, 6, 5, 4, 3, 2, 1}) {
      if (rows > 1 && rows / 2 >= a.h.results) continue;
      set_rows(rows);
      if (a.shared_bytes > kTileBytes) continue;
      const double cost = cost_of_result();
      if (best_cost_ >= 0 && cost >= best_cost_) continue;
      best_cost_ = cost;
      best_rows_ = a.h.tile;
      taken = true;
    }
    if (taken) {
      set_rows(best_rows_);
    } else {
      a = kept;
    }
  }
  // Instructions of a tile's phases for each result, roughly, in the unit of one multiply-add of a pass.
  double cost_of_result() const {
    const TileArguments& a = arguments_;
    const bool adjoint = map_ == PoolMap::kBlurAdjoint;
    const auto terms = [&](const TileAxis& axis) {
      return adjoint ? 1.0 + axis.axis.taps / axis.axis.stride : double(axis.axis.taps);
    };
    const auto lanes = [](int columns, int warp) { return double((columns + warp - 1) / warp * warp); };
    const bool maxima = map_ == PoolMap::kMaxBlur || map_ == PoolMap::kMaxBlurSelect;
    const double staged = (maxima ? 12.0 : 4.0) * a.staged_rows * lanes(a.staged_line, 32);
    const double along = a.staged_rows * lanes(a.line, 32) * (2.0 + terms(a.w));
    const double down = a.h.tile * lanes(a.line, kTileLine / 2) * (2.0 + terms(a.h));
    const double results = double(a.h.results) / a.tiles_h * a.w.results / a.tiles_w * a.to.channels / a.groups;
    constexpr double kLists = 30.0 * kTileThreads;
    return (kLists + staged + along + down) / results;
  }

  PoolMap map_;
  int value_bytes_;
  const MaxBlurPool& problem_;
  BlurAxis h_;
  TileArguments arguments_ = {};
  double best_cost_ = -1;
  int best_rows_ = 0;
};

}  // namespace freqops::cuda
