#include "filter_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fft/complex.h"

namespace freqops {
namespace {

// Planes as lanes keep 2 lanes x the plane in the cache; below this many elements that is the faster form.
constexpr int64_t kLargestPlaneAsLane = 20 * 20;
// A line is cut into a plane when it is longer than this or when there are too few lines to fill the lanes.
constexpr int64_t kLongestLineAsLane = 2048;

// The divisor of n nearest to its square root from above, at least `smallest`; n itself where there is none.
int64_t balanced_divisor(int64_t n, int64_t smallest) {
  int64_t best = n;
  for (int64_t d = 1; d * d <= n; ++d) {
    if (n % d != 0) continue;
    for (const int64_t candidate : {d, n / d}) {
      if (candidate >= smallest && candidate * candidate >= n && candidate < best) best = candidate;
    }
  }
  return best;
}

// Value of the Hermitian full-plane response at (kh, kw), from its half.
template <class T>
Complex<double> full_response(const HalfResponse<T>& half, int64_t kh, int64_t kw) {
  const int64_t columns = half.width / 2 + 1;
  const auto at = [&](int64_t h, int64_t w) -> Complex<double> {
    const int64_t i = h * columns + w;
    return {static_cast<double>(half.re[i]), half.im ? static_cast<double>(half.im[i]) : 0.0};
  };
  const int64_t mirrored = kh == 0 ? 0 : half.height - kh;
  if (kw == 0 || 2 * kw == half.width) {
    const Complex<double> a = at(kh, kw), b = at(mirrored, kw);
    return {(a.re + b.re) / 2, (a.im - b.im) / 2};
  }
  if (2 * kw < half.width) return at(kh, kw);
  const Complex<double> a = at(mirrored, half.width - kw);
  return {a.re, -a.im};
}

// Outputs of the last radix that must be kept so that output `digit` of `radix` is among them.
int outputs_for(int digit, int radix) { return std::min(radix, 2 * digit < radix ? 2 * (digit + 1) : 2 * (radix - digit)); }

}  // namespace

FilterForm choose_filter_form(int64_t height, int64_t width, int64_t planes, int lanes) {
  const bool line = height == 1 || width == 1;
  const int64_t elements = height * width;
  const bool fills_lanes = planes >= lanes;
  if (line) {
    const bool as_lane = elements <= kLongestLineAsLane && (fills_lanes || elements < 4 * lanes);
    const int64_t columns = as_lane ? elements : balanced_divisor(elements, lanes);
    return {static_cast<int>(elements / columns), static_cast<int>(columns), true, as_lane};
  }
  const bool small = elements <= kLargestPlaneAsLane && fills_lanes;
  return {static_cast<int>(height), static_cast<int>(width), false, small};
}

template <class T>
FilterPlan<T>::FilterPlan(const FilterForm& form, int lanes)
    : form_(form), lanes_(lanes), plan_h_(form.height), plan_w_(form.width) {
  const int height = form.height, width = form.width;
  const AxisPlan<T>& rows = plan_h_.plan();
  const auto distance = [&](int32_t e) { return std::min(rows.frequency[e], height - rows.frequency[e]); };
  rows_by_frequency_.resize(height);
  std::iota(rows_by_frequency_.begin(), rows_by_frequency_.end(), 0);
  std::stable_sort(rows_by_frequency_.begin(), rows_by_frequency_.end(),
                   [&](int32_t a, int32_t b) { return distance(a) < distance(b); });
  slot_of_row_.resize(height);
  for (int slot = 0; slot < height; ++slot) slot_of_row_[rows_by_frequency_[slot]] = slot;
  if (!form.line || height == 1) return;
  const int blocks = (height + lanes - 1) / lanes;
  step_cos_.assign(size_t(blocks) * width * lanes, T{1});
  step_sin_.assign(step_cos_.size(), T{0});
  for (int slot = 0; slot < height; ++slot) {
    const long long k = rows.frequency[rows_by_frequency_[slot]];
    for (int n = 0; n < width; ++n) {
      const size_t i = (size_t(slot / lanes) * width + n) * lanes + slot % lanes;
      step_cos_[i] = static_cast<T>(constant::cos_turn(k * n, static_cast<long long>(height) * width));
      step_sin_[i] = static_cast<T>(constant::sin_turn(k * n, static_cast<long long>(height) * width));
    }
  }
}

template <class T>
std::string FilterPlan<T>::describe() const {
  std::string text = form_.planes_as_lanes ? "planes as lanes" : "columns as lanes";
  if (form_.line && form_.height > 1) text += ", line as a plane (four-step)";
  return text + ", H " + freqops::describe(plan_h()) + ", W " + freqops::describe(plan_w());
}

template <class T>
ResponseTables<T>::ResponseTables(std::shared_ptr<const FilterPlan<T>> plan, int responses, int64_t channels,
                                  bool is_complex)
    : plan_(std::move(plan)), responses_(responses), channels_(channels) {
  const int64_t height = plan_->form().height, lanes = plan_->form().planes_as_lanes ? 1 : plan_->lanes();
  table_elements_ = size_t((height + lanes - 1) / lanes * lanes) * plan_->form().width;
  const size_t count = size_t(responses) * channels;
  re_.assign(count * table_elements_, T{0});
  if (is_complex) im_.assign(count * table_elements_, T{0});
  slot_.assign(count * height, -1);
  kept_slot_.assign(channels * height, -1);
  tables_.resize(count);
  kept_.resize(channels);
  for (size_t i = 0; i < count; ++i) {
    const T* im = is_complex ? im_.data() + i * table_elements_ : nullptr;
    tables_[i] = {re_.data() + i * table_elements_, im, slot_.data() + i * height, 0, 0, 1};
  }
}

template <class T>
void ResponseTables<T>::build_channel(int64_t channel, const std::vector<HalfResponse<T>>& halves) {
  const FilterForm& form = plan_->form();
  const AxisPlan<T>&plan_h = plan_->plan_h(), &plan_w = plan_->plan_w();
  const int height = form.height, width = form.width, lanes = plan_->lanes();
  const double scale = 1.0 / (static_cast<double>(height) * width);
  const auto value = [&](const HalfResponse<T>& half, int64_t kh, int64_t kw) {
    if (!form.line) return full_response(half, kh, kw);
    const int64_t k = kh + height * kw;  // the four-step transform finds frequency k here
    return half.height == 1 ? full_response(half, 0, k) : full_response(half, k, 0);
  };

  // Rows are visited by rising |frequency|; a row gets the next slot as soon as one response needs it. The DC row always
  // has one: there a plane that is not finite shows itself. The rotations of a four-step transform are stored by slot
  // for all rows, so there every row has one.
  const bool keep_every_row = plan_->step_cos() != nullptr;
  int slots = 0;
  int32_t* kept_slot = &kept_slot_[channel * height];
  KeptRows& kept = kept_[channel];
  kept = {kept_slot, 0, 0};
  std::vector<Complex<double>> row(width);
  for (const int32_t e : plan_->rows_by_frequency()) {
    const int kh = plan_h.frequency[e];
    const int row_outputs = outputs_for(e % plan_h.last_radix(), plan_h.last_radix());
    for (int r = 0; r < responses_; ++r) {
      const size_t index = r * channels_ + channel;
      ResponseTable<T>& table = tables_[index];
      bool needed = kh == 0 || keep_every_row;
      int outputs = 1;
      for (int w = 0; w < width; ++w) {
        row[w] = value(halves[r], kh, plan_w.frequency[w]);
        if (row[w].re == 0 && row[w].im == 0) continue;
        needed = true;
        outputs = std::max(outputs, outputs_for(w % plan_w.last_radix(), plan_w.last_radix()));
      }
      if (!needed) continue;
      if (kept_slot[e] < 0) kept_slot[e] = slots++;
      const int slot = kept_slot[e];
      // Planes as lanes stay where they are; a slot then only says that a row is kept.
      slot_[index * height + e] = form.planes_as_lanes ? e : slot;
      table.slots = slot + 1;
      table.outputs_h = std::max(table.outputs_h, row_outputs);
      table.outputs_w = std::max(table.outputs_w, outputs);
      kept.outputs = std::max(kept.outputs, row_outputs);
      for (int w = 0; w < width; ++w) {
        const size_t i = form.planes_as_lanes ? size_t(e) * width + w
                                              : (size_t(slot / lanes) * width + w) * lanes + slot % lanes;
        re_[index * table_elements_ + i] = static_cast<T>(row[w].re * scale);
        if (!im_.empty()) im_[index * table_elements_ + i] = static_cast<T>(row[w].im * scale);
      }
    }
  }
  kept.slots = slots;
}

template <class T>
void ResponseTables<T>::attach(FilterBank<T>& bank) const {
  bank.plan_h = &plan_->plan_h();
  bank.plan_w = &plan_->plan_w();
  bank.step_cos = plan_->step_cos();
  bank.step_sin = plan_->step_sin();
  bank.planes_as_lanes = plan_->form().planes_as_lanes;
  bank.responses = responses_;
  bank.response_channels = channels_;
  bank.tables = tables_.data();
  bank.kept = kept_.data();
}

template class FilterPlan<float>;
template class FilterPlan<double>;
template class ResponseTables<float>;
template class ResponseTables<double>;

}  // namespace freqops
