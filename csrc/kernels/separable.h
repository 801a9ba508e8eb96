// y = A x B^T over planes: a real matrix along the rows' axis, one along the columns' axis, and optionally one product
// of vectors, p_h (q_h^T x q_w) p_w^T, which a map that is not quite separable needs besides (FLC pooling's corner bin).
#pragma once

#include "axis_map.h"
#include "images.h"

namespace freqops {

template <class T>
struct Separable {
  Images x, y;
  const AxisMap<T>* rows;     // along the height; null leaves it as it is
  const AxisMap<T>* columns;  // along the width
  // The axis that is summed first has its q packed as AxisMap::functional, the other one its p as the extra input's
  // column: that input is the inner product times the first axis' p.
  struct Outer {
    const T* p;
    const T* q;
  };
  Outer outer_h, outer_w;  // null pointers where there is none
  bool rows_first;         // whichever leaves less in between

  bool has_outer() const { return outer_h.p != nullptr; }
};

}  // namespace freqops
