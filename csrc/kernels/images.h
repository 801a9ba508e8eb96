// A batch of planes in memory, as the kernels see it: any strides, four element types.
#pragma once

#include <cstdint>

namespace freqops {

enum class Element { kFloat, kDouble, kHalf, kBFloat16 };

struct Images {
  void* data;  // never written through where the images are an input
  Element element;
  int64_t batch, channels, height, width;
  int64_t batch_stride, channel_stride, row_stride, column_stride;  // in elements

  int64_t planes() const { return batch * channels; }
  int64_t offset(int64_t n, int64_t c) const { return n * batch_stride + c * channel_stride; }
};

}  // namespace freqops
