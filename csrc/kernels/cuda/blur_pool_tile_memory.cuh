// Shared memory of the tiled form, and which thread has what of it.
#pragma once

#include "blur_pool_tile.h"
#include "stencil.cuh"

namespace freqops::cuda {

inline constexpr int kTileWarp = 32;

// Where a block is; found once by all threads, kept for later phases.
struct TilePlace {
  // The planes of its first unit. As addresses: the compiler would add a base to each element's offset anew.
  const char *from, *values;
  char* to;
  int64_t channel;  // the first unit
  int units;        // that exist
  int row, column;  // its first result
  int lowest_row;   // of the map of maxima that is staged
};
static_assert(sizeof(TilePlace) <= kTilePlaceBytes);

// Result number `result` of the map is the sum over k < count of taps[tap + k tap_step] * staged[first + k].
struct alignas(kTileTermsBytes) TileTerms {
  int first, tap, count, result;
};

template <class Value>
struct TileMemory {
  TilePlace* place;
  TileTerms *row_terms, *column_terms;
  int64_t *rows, *columns;  // where staged ones come from: an offset in bytes (of maxima: an index), or -1 for zeros
  int64_t* targets;         // where a line of results goes, in bytes; -1: nowhere
  Value *taps_h, *taps_w;
  Value* tile;
  Value* scratch;  // what was blurred along the rows; before that, maxima along the rows

  FREQOPS_HOST_DEVICE TileMemory(const TileArguments& a, unsigned char* shared)
      : place(reinterpret_cast<TilePlace*>(shared)),
        row_terms(reinterpret_cast<TileTerms*>(shared + kTilePlaceBytes)),
        column_terms(reinterpret_cast<TileTerms*>(shared + a.column_terms_at)),
        rows(reinterpret_cast<int64_t*>(shared + a.rows_at)),
        columns(reinterpret_cast<int64_t*>(shared + a.columns_at)),
        targets(reinterpret_cast<int64_t*>(shared + a.targets_at)),
        taps_h(reinterpret_cast<Value*>(shared + a.taps_h_at)),
        taps_w(reinterpret_cast<Value*>(shared + a.taps_w_at)),
        tile(reinterpret_cast<Value*>(shared + a.tile_at)),
        scratch(reinterpret_cast<Value*>(shared + a.scratch_at)) {}
};

// What stands at a place of a line, be it of results or of staged samples.
struct TileColumn {
  int unit, place;
  FREQOPS_HOST_DEVICE TileColumn(const TileArguments& a, const Divisor& inner, int index) {
    const int whole = inner.quotient(index), left = index - whole * inner.divisor;
    unit = a.interleaved ? left : whole;
    place = a.interleaved ? whole : left;
  }
};

// Calls f(row, column) for every column and every Rows-th row (of a multiple of Rows): a warp has neighbouring columns, and warps take turns.
template <int Rows, class F>
FREQOPS_HOST_DEVICE void for_groups(int thread, int rows, int columns, F&& f) {
  const int lane = static_cast<int>(static_cast<unsigned>(thread) % kTileWarp);
  int row = static_cast<int>(static_cast<unsigned>(thread) / kTileWarp) * Rows;
  for (int first = 0; first < columns; first += kTileWarp, row -= rows) {
    FREQOPS_ONE_TURN
    for (; row < rows; row += kTileThreads / kTileWarp * Rows) {
      if (first + lane < columns) f(row, first + lane);
    }
  }
}

}  // namespace freqops::cuda
