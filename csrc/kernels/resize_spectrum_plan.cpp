#include "resize_spectrum_plan.h"

#include <algorithm>
#include <cmath>

#include "filter_plan.h"

namespace freqops {
namespace {

int kept_outputs(const std::vector<int32_t>& slots, int radix) {
  int outputs = 1;
  for (size_t position = 0; position < slots.size(); ++position) {
    if (slots[position] >= 0) outputs = std::max(outputs, outputs_for(static_cast<int>(position % radix), radix));
  }
  return outputs;
}

}  // namespace

template <class T>
ResizedAxisTables<T>::ResizedAxisTables(const AxisPlan<T>& in, const AxisPlan<T>& out, const double* gain) {
  const int n = in.length, m = out.length, kept = std::min(n, m), half = (kept - 1) / 2;
  axis_.in = &in;
  axis_.out = &out;
  in_slot_.assign(n, -1);
  out_slot_.assign(m, -1);
  const auto place = [](std::vector<int32_t>& slots, const AxisPlan<T>& plan, int frequency, int slot) {
    slots[plan.position[frequency < 0 ? frequency + plan.length : frequency]] = slot;
  };
  const auto add = [&](int frequency) {
    const int slot = static_cast<int>(gain_.size());
    place(in_slot_, in, frequency, slot);
    place(out_slot_, out, frequency, slot);
    gain_.push_back(static_cast<T>(gain[std::abs(frequency)]));
    return slot;
  };
  add(0);
  for (int k = 1; k <= half; ++k) add(k), add(-k);
  axis_.nyquist = -1;
  axis_.slots = axis_.in_slots = kept;
  if (kept % 2 == 0) {
    axis_.nyquist = add(kept / 2);
    // On the longer axis -K/2 is a position of its own: a slot behind the last, or the same one.
    if (m < n) place(in_slot_, in, -kept / 2, axis_.in_slots++);
    if (n < m) place(out_slot_, out, -kept / 2, axis_.nyquist);
  }
  axis_.in_outputs = kept_outputs(in_slot_, in.last_radix());
  axis_.out_outputs = kept_outputs(out_slot_, out.last_radix());
  axis_.in_slot = in_slot_.data();
  axis_.out_slot = out_slot_.data();
  axis_.gain = gain_.data();
  const int longer = std::max(n, m);
  for (int64_t i = 0; i < longer; ++i) {
    const int64_t turn = i * kept % (2 * int64_t{longer});
    sine_.push_back(static_cast<T>(std::sin(M_PI * static_cast<double>(turn) / longer)));
  }
  axis_.sine = sine_.data();
}

template class ResizedAxisTables<float>;
template class ResizedAxisTables<double>;

}  // namespace freqops
