// What one item of anti-aliased pooling is: a part of a plane (NCHW) or of an image with all or some of its channels
// (NHWC), and where it lies. In both formats a row of scratch is an array of [columns][step] elements: step is 1 where
// planes lie apart, and the number of channels taken together where they lie interleaved.
#pragma once

#include <algorithm>

#include "../blur_pool.h"
#include "arena.h"
#include "staging.h"

namespace freqops::cpu::FREQOPS_LEVEL {

struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t divide_down(int64_t a, int64_t b) { return a >= 0 ? a / b : -divide_up(-a, b); }
inline int64_t power_of_two_from(int64_t n) {
  int64_t power = 1;
  while (power < n) power *= 2;
  return power;
}

struct PoolItem {
  int64_t offset;  // of the first channel in the memory of each tensor: n, c say which
  int64_t n, c;
  Span rows, columns;  // of what is written
};

// How the written planes are cut into items. `scale` is how many source elements stand behind a written one, and a row of
// them is cut in tiles of about `tile_elements`, or not at all (0).
class PoolTiling {
 public:
  PoolTiling(const Images& written, int64_t scale_h, int64_t scale_w, int64_t tile_elements) : written_(written) {
    const bool interleaved = is_interleaved(written);
    // Beyond so many channels a few pixels fill the tile, and their halo would be most of it.
    step_ = !interleaved ? 1 : written.channels <= kMostChannels ? written.channels : kChannelBlock;
    groups_ = divide_up(written.channels, step_);
    const int64_t wanted = std::max<int64_t>(1, tile_elements / (step_ * scale_w));
    column_tiles_ = tile_elements > 0 ? divide_up(written.width, wanted) : 1;
    columns_ = divide_up(written.width, column_tiles_);
    const int64_t row = columns_ * scale_w * step_ * scale_h;
    row_chunks_ = divide_up(written.height, std::max<int64_t>(4, kItemElements / row));
    rows_ = divide_up(written.height, row_chunks_);
  }

  static bool is_interleaved(const Images& images) { return images.column_stride != 1 && images.channels > 1; }

  int64_t step() const { return step_; }
  int64_t most_rows() const { return rows_; }
  int64_t most_columns() const { return columns_; }
  int64_t row_chunks() const { return row_chunks_; }
  int64_t column_tiles() const { return column_tiles_; }
  int64_t items() const { return written_.batch * groups_ * row_chunks_ * column_tiles_; }
  // Items of one part follow each other, so that what is known of the part is found once for all of them.
  int64_t part_of(int64_t item) const { return item / (written_.batch * groups_); }

  // The last group of channels may be narrower: see channels_of.
  PoolItem item(int64_t index) const {
    const int64_t part = part_of(index), plane = index % (written_.batch * groups_);
    const int64_t chunk = part / column_tiles_, tile = part % column_tiles_;
    PoolItem item{};
    item.n = plane / groups_;
    item.c = plane % groups_ * step_;
    item.rows = {chunk * rows_, std::min(written_.height, (chunk + 1) * rows_)};
    item.columns = {tile * columns_, std::min(written_.width, (tile + 1) * columns_)};
    return item;
  }
  // The item after this one, if that is of the same part: small planes would feel the divisions above.
  bool advance(PoolItem& item) const {
    item.c += step_;
    if (item.c < written_.channels) return true;
    item.c = 0;
    return ++item.n < written_.batch;
  }
  int64_t channels_of(const PoolItem& item) const { return std::min(step_, written_.channels - item.c); }

 private:
  static constexpr int64_t kMostChannels = 512, kChannelBlock = 256;
  static constexpr int64_t kItemElements = 1 << 17;
  Images written_;
  int64_t step_, groups_, columns_, column_tiles_, rows_, row_chunks_;
};

// True where rows of the images can be read as rows of T with `step` elements per column.
template <class T>
bool has_rows_of(const Images& images, int64_t step) {
  const bool same = std::is_same_v<T, double> || images.element == Element::kFloat;
  return same && (images.column_stride == step || (step == 1 && images.width == 1));
}

template <class T>
const T* row_in(const Images& images, const PoolItem& item, int64_t row, int64_t column) {
  return static_cast<const T*>(images.data) + images.offset(item.n, item.c) + row * images.row_stride +
         column * images.column_stride;
}

template <class T>
void fill(T* out, int64_t n, T value) {
  for (int64_t i = 0; i < n; ++i) out[i] = value;
}

// Rows of an image, [columns][step] each and `pitch` apart; columns outside the plane hold `outside`.
template <class T>
void stage_rows(const Images& images, const PoolItem& item, Span rows, Span columns, int64_t step, T outside, T* out,
                int64_t pitch) {
  const Span inside{std::clamp<int64_t>(columns.begin, 0, images.width),
                    std::clamp<int64_t>(columns.end, 0, images.width)};
  const int64_t before = (inside.begin - columns.begin) * step, after = (columns.end - inside.end) * step;
  const bool dense = images.column_stride == step;
  const int64_t run = dense ? inside.size() * step : step, runs = dense ? 1 : inside.size();
  visit_element<T>(images.element, [&](auto* tag) {
    using From = std::remove_pointer_t<decltype(tag)>;
    for (int64_t r = rows.begin; r < rows.end; ++r, out += pitch) {
      const From* source = row_in<From>(images, item, r, inside.begin);
      fill(out, before, outside);
      T* target = out + before;
      for (int64_t s = 0; s < runs; ++s, source += images.column_stride, target += run) {
        run == 1 ? void(*target = widen(*source)) : widen_row(source, run, target);
      }
      fill(target, after, outside);
    }
  });
}

// The inverse: writes [columns][step] into the columns of rows of an image.
template <class T>
void unstage_rows(const Images& images, const PoolItem& item, Span rows, Span columns, int64_t step, const T* in,
                  int64_t pitch) {
  const bool dense = images.column_stride == step;
  const int64_t run = dense ? columns.size() * step : step, runs = dense ? 1 : columns.size();
  visit_element<T>(images.element, [&](auto* tag) {
    using To = std::remove_pointer_t<decltype(tag)>;
    for (int64_t r = rows.begin; r < rows.end; ++r, in += pitch) {
      To* target = const_cast<To*>(row_in<To>(images, item, r, columns.begin));
      const T* source = in;
      for (int64_t s = 0; s < runs; ++s, target += images.column_stride, source += run) {
        run == 1 ? void(*target = narrow<To>(*source)) : narrow_row(source, run, target);
      }
    }
  });
}

// The samples that stand at positions [first, first + count) of a padded axis: the smallest span that holds them.
inline Span sources_of(const BlurAxis& axis, int64_t first, int64_t count) {
  const Span inside{std::max<int64_t>(first, 0), std::min(first + count, axis.size)};
  Span all = inside.size() > 0 ? inside : Span{axis.size, 0};
  for (int64_t i = first; i < first + count; ++i) {
    if (i == inside.begin && inside.size() > 0) i = inside.end;
    if (i >= first + count) break;
    const int64_t source = source_index(i, axis.size, axis.mode);
    if (source < 0) continue;
    all.begin = std::min(all.begin, source);
    all.end = std::max(all.end, source + 1);
  }
  return all.size() > 0 ? all : Span{0, 0};
}

// Taps as the sums read them: [taps], or for interleaved planes with taps per channel [taps][channels].
template <class T>
class Taps {
 public:
  Taps(const void* taps, int count, bool per_channel, int64_t channels, bool interleaved, Arena<T>& arena)
      : taps_(static_cast<const T*>(taps)), count_(count), step_(per_channel ? count : 0) {
    if (!per_channel || !interleaved) return;
    T* transposed = arena.take(count * channels);
    channels_ = channels;
    step_ = 1;
    if (!transposed) return;
    for (int64_t c = 0; c < channels; ++c) {
      for (int j = 0; j < count; ++j) transposed[j * channels + c] = taps_[c * count + j];
    }
    taps_ = transposed;
  }
  bool in_lanes() const { return channels_ > 0; }
  const T* at(int64_t c, int64_t j) const { return taps_ + c * step_ + (in_lanes() ? j * channels_ : j); }

 private:
  const T* taps_;
  int count_;
  int64_t step_, channels_ = 0;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
