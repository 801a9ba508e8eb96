// A real matrix along one axis of planes, y[m] = sum_n A[m, n] x[n], put in the order in which the kernels sum.
//
// A *mirrored* matrix maps reversed signals onto reversed ones: A[-m, -n] = A[m, n], indices modulo the sizes, as all
// do that only weigh frequencies. With e[n] = x[n] + x[-n] and o[n] = x[n] - x[-n] its outputs come in pairs,
// y[m] = p[m] + q[m] and y[-m] = p[m] - q[m], where p sums e alone and q sums o: half the work.
#pragma once

#include <cstdint>

namespace freqops {

// What a kernel reads. A *term* is an input, or a pair n, -n of them where the matrix is mirrored; a *sum* is an output,
// or a pair of them.
template <class T>
struct AxisMap {
  int inputs, outputs;
  bool mirrored;
  int terms;             // that any output needs
  int dense;             // the first so many terms reach more than one sum; each of the others is added to one
  const int32_t* input;  // [terms] n, the smaller of the pair; `inputs` for the extra one (see PackedAxisMap)
  int sums;
  // What the dense terms are multiplied by, `block` sums together: [sums / block][dense][block], zeros behind the last.
  int block;
  const T* even;
  const T* odd;  // null where the matrix is not mirrored
  // What a sum starts from: a term of its own and its weights, or term -1.
  const int32_t* own_term;  // [sums rounded up to blocks]
  const T* own_even;
  const T* own_odd;
  // A functional of the inputs, summed up as one more output behind the last: see Separable::outer. What the first
  // `functional_terms` terms are multiplied by; 0 where there is none.
  int functional_terms;
  const T* functional_even;
  const T* functional_odd;

  bool has_functional() const { return functional_terms > 0; }
};

}  // namespace freqops
