#include "axis_map_plan.h"

#include <algorithm>

namespace freqops {

template <class T>
PackedAxisMap<T>::PackedAxisMap(const T* matrix, int64_t outputs, int64_t inputs, const T* functional, const T* extra,
                                bool mirrored, int block)
    : matrix_(matrix), extra_(extra) {
  map_.inputs = static_cast<int>(inputs);
  map_.outputs = static_cast<int>(outputs);
  map_.mirrored = mirrored;
  map_.sums = static_cast<int>(mirrored ? outputs / 2 + 1 : outputs);
  map_.block = block;
  find_terms();
  if (functional) fill_functional(functional);
  fill_blocks();
  matrix_ = extra_ = nullptr;
}

// What e[n] and o[n] are multiplied by, which without mirroring is what x[n] is multiplied by. A sum that is its own
// partner has nothing to do with o.
template <class T>
typename PackedAxisMap<T>::Weights PackedAxisMap<T>::weights(const T* row, int64_t n, bool own_partner) const {
  if (!map_.mirrored || n == 0 || 2 * n == map_.inputs) return {row[n], T{0}};
  const T here = row[n], there = row[map_.inputs - n];
  return {(here + there) / 2, own_partner ? T{0} : (here - there) / 2};
}
template <class T>
typename PackedAxisMap<T>::Weights PackedAxisMap<T>::weights(int64_t sum, int64_t n) const {
  if (n == map_.inputs) return extra_weights(sum);
  return weights(matrix_ + sum * map_.inputs, n, sum == 0 || 2 * sum == map_.outputs);
}

// The extra input has no partner: both e and o are it, so that p + q and p - q take any two values.
template <class T>
typename PackedAxisMap<T>::Weights PackedAxisMap<T>::extra_weights(int64_t sum) const {
  if (!map_.mirrored || sum == 0 || 2 * sum == map_.outputs) return {extra_[sum], T{0}};
  const T here = extra_[sum], there = extra_[map_.outputs - sum];
  return {(here + there) / 2, (here - there) / 2};
}

// Terms that more than one sum needs come first; a term of one sum alone is added where that sum starts.
template <class T>
void PackedAxisMap<T>::find_terms() {
  const int inputs = map_.mirrored ? map_.inputs / 2 + 1 : map_.inputs;
  const int sums_in_blocks = (map_.sums + map_.block - 1) / map_.block * map_.block;
  own_term_.assign(sums_in_blocks, -1);
  own_even_.assign(sums_in_blocks, T{0});
  own_odd_.assign(sums_in_blocks, T{0});
  std::vector<int32_t> alone(map_.sums, -1);  // sum -> the input that reaches no other sum
  for (int n = 0; n < inputs; ++n) {
    int reached = 0, last = 0;
    for (int sum = 0; sum < map_.sums && reached < 2; ++sum) {
      const Weights w = weights(sum, n);
      if (w.even == 0 && w.odd == 0) continue;
      ++reached;
      last = sum;
    }
    if (reached == 0) continue;
    if (reached == 1 && alone[last] < 0) {
      alone[last] = n;
    } else {
      input_.push_back(n);
    }
  }
  if (extra_) input_.push_back(map_.inputs);
  map_.dense = static_cast<int>(input_.size());
  for (int sum = 0; sum < map_.sums; ++sum) {
    if (alone[sum] < 0) continue;
    const Weights w = weights(sum, alone[sum]);
    own_term_[sum] = static_cast<int32_t>(input_.size());
    own_even_[sum] = w.even;
    own_odd_[sum] = w.odd;
    input_.push_back(alone[sum]);
  }
  map_.terms = static_cast<int>(input_.size());
}

// Inputs that it alone needs become terms behind all others.
template <class T>
void PackedAxisMap<T>::fill_functional(const T* functional) {
  const int inputs = map_.mirrored ? map_.inputs / 2 + 1 : map_.inputs;
  std::vector<bool> is_term(inputs);
  for (const int32_t n : input_) is_term[n] = true;
  for (int n = 0; n < inputs; ++n) {
    const Weights w = weights(functional, n, false);
    if (!is_term[n] && (w.even != 0 || w.odd != 0)) input_.push_back(n);
  }
  map_.terms = static_cast<int>(input_.size());
  map_.functional_terms = 1;  // there is one, even if it is zero
  for (int i = 0; i < map_.terms; ++i) {
    const Weights w = weights(functional, input_[i], false);
    functional_even_.push_back(w.even);
    functional_odd_.push_back(w.odd);
    if (w.even != 0 || w.odd != 0) map_.functional_terms = i + 1;
  }
}

template <class T>
void PackedAxisMap<T>::fill_blocks() {
  const int blocks = (map_.sums + map_.block - 1) / map_.block;
  even_.assign(size_t(blocks) * map_.dense * map_.block, T{0});
  if (map_.mirrored) odd_.assign(even_.size(), T{0});
  for (int sum = 0; sum < map_.sums; ++sum) {
    const size_t start = size_t(sum / map_.block) * map_.dense * map_.block + sum % map_.block;
    for (int i = 0; i < map_.dense; ++i) {
      const Weights w = weights(sum, input_[i]);
      even_[start + size_t(i) * map_.block] = w.even;
      if (map_.mirrored) odd_[start + size_t(i) * map_.block] = w.odd;
    }
  }
}

template <class T>
AxisMap<T> PackedAxisMap<T>::map() const {
  AxisMap<T> map = map_;
  map.input = input_.data();
  map.even = even_.data();
  map.odd = map.mirrored ? odd_.data() : nullptr;
  map.own_term = own_term_.data();
  map.own_even = own_even_.data();
  map.own_odd = own_odd_.data();
  map.functional_even = functional_even_.data();
  map.functional_odd = functional_odd_.data();
  return map;
}

template class PackedAxisMap<float>;
template class PackedAxisMap<double>;

}  // namespace freqops
