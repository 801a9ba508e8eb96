// Planes of any size to spectra in device memory and back, for ops whose arithmetic lies between the
// two. A slot of the spectra is one complex plane, in position order: two real planes a + ib, or a
// single one.
//
// Slots are counted image pair by image pair, the channels of a pair next to each other.
#pragma once

#include <climits>
#include <cstdint>

#include "element.h"
#include "filter_arguments.h"
#include "line_tables.cuh"
#include "lines_tiling.h"

namespace freqops::cuda {

enum class Slots { kPairs, kSingles };

struct SpectraArguments {
  ElementPointer images;  // [batch.images, batch.channels, height, width]; only read on the way to spectra
  PlaneBatch batch;
  Slots slots;
  LinesGeometry geometry;
  Complex<float>* spectra;
  int64_t spectra_stride;  // slots from one image pair (image, where they are single) to the next
  int64_t first, count;    // which slots
  // For each image whether it had a value that is not finite; may be null. Such values count as 0,
  // so that they do not reach the other image of the pair, and the image comes back as NaN.
  int* poisoned;
  // Where images are smaller than what is transformed: how large they are. Zeros follow them.
  Corner corner = {};

  FREQOPS_HOST_DEVICE bool padded() const { return corner.height != 0; }
  FREQOPS_HOST_DEVICE int image_pixels() const { return padded() ? corner.pixels() : geometry.pixels(); }
  FREQOPS_HOST_DEVICE Complex<float>* spectrum(int64_t slot) const {
    const int64_t group = slot / batch.channels, channel = slot - group * batch.channels;
    return spectra + (group * spectra_stride + channel) * geometry.pixels();
  }

  struct Planes {
    int64_t image[2], start[2];
    int number;
  };
  FREQOPS_HOST_DEVICE Planes planes(int64_t slot) const {
    const int64_t group = (first + slot) / batch.channels, channel = (first + slot) - group * batch.channels;
    const int64_t image = slots == Slots::kPairs ? 2 * group : group;
    const bool second = slots == Slots::kPairs && image + 1 < batch.images;
    const int64_t start = (image * batch.channels + channel) * image_pixels();
    return {{image, image + 1}, {start, start + int64_t{batch.channels} * image_pixels()}, second ? 2 : 1};
  }
  FREQOPS_HOST_DEVICE float load_one(const Planes& planes, int i, int pixel) const {
    const float value = images.load(planes.start[i] + pixel);
    if (poisoned == nullptr || is_finite(value)) return value;
    poisoned[planes.image[i]] = 1;  // perhaps from several threads, all writing the same
    return 0.0f;
  }
  FREQOPS_HOST_DEVICE Complex<float> load(const Planes& planes, int pixel) const {
    if (padded()) {
      pixel = corner.pixel(geometry, pixel);
      if (pixel < 0) return {0, 0};
    }
    return {load_one(planes, 0, pixel), planes.number == 2 ? load_one(planes, 1, pixel) : 0.0f};
  }
  FREQOPS_HOST_DEVICE void store_one(const Planes& planes, int i, int pixel, float value) const {
    if (poisoned != nullptr && poisoned[planes.image[i]] != 0) value = not_a_number();
    images.store(planes.start[i] + pixel, value);
  }
  FREQOPS_HOST_DEVICE void store(const Planes& planes, int pixel, Complex<float> value) const {
    if (padded()) {
      pixel = corner.pixel(geometry, pixel);
      if (pixel < 0) return;
    }
    store_one(planes, 0, pixel, value.re);
    if (planes.number == 2) store_one(planes, 1, pixel, value.im);
  }
};

// Images to spectra for Sign < 0; for Sign > 0 back, unnormalised. Compiled in a translation unit of
// its own.
template <int Sign, class Launcher>
int transform_slots(const Launcher& launcher, const SpectraArguments& arguments);

// Scratch handed out piece by piece; with a null base it only counts.
class WorkMemory {
 public:
  explicit WorkMemory(void* base) : base_(static_cast<unsigned char*>(base)) {}
  template <class T>
  T* take(int64_t count) {
    T* place = base_ ? reinterpret_cast<T*>(base_ + bytes_) : nullptr;
    bytes_ += (count * int64_t{sizeof(T)} + 15) / 16 * 16;
    return place;
  }
  int64_t bytes() const { return bytes_; }

 private:
  unsigned char* base_;
  int64_t bytes_ = 0;
};

// Image pairs whose spectra, so many planes of them per pair, fit the L2 cache together.
inline int64_t image_pairs_per_chunk(const PlaneBatch& batch, int64_t pixels, int64_t planes_per_pair) {
  constexpr int64_t kCacheBytes = 32 << 20;
  const int64_t bytes = planes_per_pair * pixels * int64_t{sizeof(Complex<float>)};
  const int64_t pairs = kCacheBytes / bytes;
  return pairs < 1 ? 1 : pairs < batch.image_pairs() ? pairs : batch.image_pairs();
}

// Where the bin at -k of the one at position k lies, for each axis.
struct MirrorFill {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    AxisOrder order;
    int* mirror;
  };
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int i = static_cast<int>(index) * kThreads + thread, length = arguments.order.length;
      if (i >= length) return;
      const int k = arguments.order.frequency(i);
      arguments.mirror[i] = arguments.order.position(k == 0 ? 0 : length - k);
    });
  }
};
template <class Launcher>
int fill_mirror(const Launcher& launcher, const LinePlan& plan, int* mirror) {
  return launcher.template run<MirrorFill>((plan.length + kLineThreads - 1) / kLineThreads, 0, {plan.order(), mirror});
}

}  // namespace freqops::cuda
