// Puts a matrix in the order in which the kernels sum: once per call, on the host.
#pragma once

#include <cstdint>
#include <vector>

#include "axis_map.h"

namespace freqops {

template <class T>
class PackedAxisMap {
 public:
  // `matrix` is [outputs][inputs], contiguous; of a mirrored one rows 0 to outputs / 2 are read. `functional`, null or
  // [inputs], and `extra`, null or [outputs], are any: the column of one more input behind the last. `block` is the
  // kernel's.
  PackedAxisMap(const T* matrix, int64_t outputs, int64_t inputs, const T* functional, const T* extra, bool mirrored,
                int block);

  AxisMap<T> map() const;

 private:
  struct Weights {
    T even, odd;
  };
  Weights weights(const T* row, int64_t n, bool own_partner) const;
  Weights weights(int64_t sum, int64_t n) const;
  Weights extra_weights(int64_t sum) const;
  void fill_functional(const T* functional);
  void find_terms();
  void fill_blocks();

  const T *matrix_, *extra_;  // only while packing
  AxisMap<T> map_{};
  std::vector<int32_t> input_, own_term_;
  std::vector<T> even_, odd_, own_even_, own_odd_, functional_even_, functional_odd_;
};

}  // namespace freqops
