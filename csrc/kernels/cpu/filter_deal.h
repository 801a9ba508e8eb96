// How the fused filter deals out the planes of a bank, and where planes of channels_last maps wait for their turn.
#pragma once

#include <algorithm>

#include "../fft_filter.h"
#include "arena.h"
#include "channel_blocks.h"

namespace freqops::cpu::FREQOPS_LEVEL {

// How the planes of a bank are dealt out to items, and which ones an item has.
template <class T, int Group>
class Deal {
 public:
  explicit Deal(const FilterBank<T>& bank)
      : bank_(bank), by_blocks_(Group == 2 && suits_blocks(bank)), per_channel_(bank.response_channels > 1) {}

  // Whether items that follow one another have planes of adjacent channels, see below.
  bool by_blocks() const { return by_blocks_; }

  // Whether each half of a group, a vector of planes, has adjacent channels of one image.
  bool halves_are_blocks() const {
    return Group > 2 && !per_channel_ && bank_.x.channels % kLanes<T> == 0 && can_be_blocks(bank_);
  }

  int64_t items() const {
    const int64_t per_image = by_blocks_ && !per_channel_ ? rounded(bank_.x.channels) : 0;
    return per_image ? bank_.x.batch * per_image : items_per_channel() * bank_.response_channels;
  }

  struct Planes {
    int count;
    int64_t n[Group], c[Group];
    int64_t block;  // of channels, kLanes each
  };

  // Consecutive planes, or consecutive images of one channel where each channel has its response. By blocks, first all
  // channels of a block for the same images.
  Planes of(int64_t item) const {
    Planes planes{};
    if (by_blocks_) {
      locate_in_block(item, planes);
      return planes;
    }
    const int64_t total = per_channel_ ? bank_.x.batch : bank_.x.planes();
    const int64_t first = item % items_per_channel() * Group;
    planes.count = static_cast<int>(std::min<int64_t>(Group, total - first));
    for (int i = 0; i < planes.count; ++i) {
      planes.n[i] = per_channel_ ? first + i : (first + i) / bank_.x.channels;
      planes.c[i] = per_channel_ ? item / items_per_channel() : (first + i) % bank_.x.channels;
    }
    return planes;
  }

 private:
  static int64_t rounded(int64_t planes) { return (planes + Group - 1) / Group; }
  int64_t items_per_channel() const { return rounded(per_channel_ ? bank_.x.batch : bank_.x.planes()); }

  // Channels side by side, enough of them for a vector, and a block of planes that stays in the caches.
  static bool suits_blocks(const FilterBank<T>& bank) {
    constexpr int64_t kLargestPlane = int64_t{64} << 10;  // bytes
    const int64_t plane = int64_t{bank.plan_h->length} * bank.plan_w->length * int64_t{sizeof(T)};
    return can_be_blocks(bank) && bank.responses == 1 && bank.x.channels >= kLanes<T> && plane <= kLargestPlane;
  }
  static bool can_be_blocks(const FilterBank<T>& bank) {
    const auto beside = [](const Images& images) { return images.channel_stride == 1 && images.column_stride > 1; };
    return bank.complement == Complement::kNone && !bank.step_cos && beside(bank.x) && beside(bank.y);
  }

  void locate_in_block(int64_t item, Planes& planes) const {
    const int64_t channels = bank_.x.channels, own = per_channel_ ? items_per_channel() : rounded(channels);
    if (!per_channel_) {
      const int64_t c = item % own * Group;
      planes.count = static_cast<int>(std::min<int64_t>(Group, channels - c));
      for (int i = 0; i < planes.count; ++i) {
        planes.n[i] = item / own;
        planes.c[i] = c + i;
      }
    } else {
      const int64_t block = item / (own * kLanes<T>), inside = item % (own * kLanes<T>);
      const int64_t in_block = std::min<int64_t>(kLanes<T>, channels - block * kLanes<T>);
      const int64_t first = inside / in_block * Group;
      planes.count = static_cast<int>(std::min<int64_t>(Group, bank_.x.batch - first));
      for (int i = 0; i < planes.count; ++i) {
        planes.n[i] = first + i;
        planes.c[i] = block * kLanes<T> + inside % in_block;
      }
    }
    planes.block = planes.c[0] / kLanes<T>;
  }

  const FilterBank<T>& bank_;
  bool by_blocks_, per_channel_;
};

// The planes of a block of channels of up to two images, gathered when the first of them is asked for and scattered when
// the next block is.
template <class T>
class BlockStage {
 public:
  BlockStage(const FilterBank<T>& bank, Arena<T>& arena, bool used, size_t plane, int64_t stride)
      : bank_(bank), plane_(plane + StagedPlanes<T>::kApart), rows_(plane), stride_(stride) {
    images_ = bank.response_channels > 1 ? 2 : 1;
    const size_t elements = used ? images_ * kLanes<T> * plane_ : 0;
    in_ = used ? arena.take(elements) : nullptr;
    out_ = used ? arena.take(elements) : nullptr;
  }

  template <class Planes>
  void show(const Planes& planes) {
    const int images = planes.count > 1 && planes.n[1] != planes.n[0] ? 2 : 1;
    if (planes.block != block_ || planes.n[0] != first_image_) {
      put_back();
      block_ = planes.block;
      first_image_ = planes.n[0];
      shown_ = images;
      // A block at the end overlaps the one before it.
      first_channel_ = std::min<int64_t>(block_ * kLanes<T>, bank_.x.channels - kLanes<T>);
      begin_ = end_ = static_cast<int>(planes.c[0] - first_channel_);
      for (int i = 0; i < shown_; ++i) gather(i);
    }
    end_ = static_cast<int>(planes.c[planes.count - 1] - first_channel_) + 1;
  }

  const T* in(int64_t n, int64_t c) const { return in_ + at(n, c); }
  T* out(int64_t n, int64_t c) const { return out_ + at(n, c); }

  // Writes what has been filtered since the block was gathered.
  void put_back() {
    for (int i = 0; i < shown_; ++i) {
      const int64_t offset = bank_.y.offset(first_image_ + i, first_channel_ + begin_);
      scatter_channels<T>(bank_.y, offset, begin_, end_, {out_ + image(i), plane_, stride_});
    }
    shown_ = 0;
    block_ = -1;
  }

 private:
  size_t image(int i) const { return i * kLanes<T> * plane_; }
  size_t at(int64_t n, int64_t c) const {
    return image(static_cast<int>(n - first_image_)) + static_cast<size_t>(c - first_channel_) * plane_;
  }

  void gather(int i) {
    const StagedPlanes<T> planes{in_ + image(i), plane_, stride_};
    gather_channels<T>(bank_.x, bank_.x.offset(first_image_ + i, first_channel_), kLanes<T>, planes);
    for (int c = 0; c < kLanes<T>; ++c) {
      T* plane = planes.data + c * plane_;
      std::fill(plane + bank_.x.height * stride_, plane + rows_, T{0});
    }
  }

  const FilterBank<T>& bank_;
  size_t plane_, rows_;
  int64_t stride_;
  int images_;
  T* in_;
  T* out_;
  int64_t block_ = -1, first_image_ = -1, first_channel_ = 0;
  int shown_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace freqops::cpu::FREQOPS_LEVEL
