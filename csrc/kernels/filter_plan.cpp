#include "filter_plan.h"

#include <algorithm>
#include <numeric>

#include "fft/complex.h"

namespace freqops {
namespace {

// Planes as lanes keep 2 lanes x the plane in the cache. Measured from 7^2 to 64^2 (AVX-512): always faster on small
// planes; on middling ones where rows are no whole number of vectors, since columns as lanes then transform some
// columns twice.
constexpr int64_t kSmallPlane = 24 * 24;
constexpr int64_t kMiddlingPlane = 56 * 56;
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

// A row of the Hermitian full-plane response, by frequency.
struct FullRow {
  std::vector<double> re, im;
  explicit FullRow(int64_t width) : re(width), im(width) {}
};

// Row kh of an image's response, from its half: columns 0 .. W/2 as they are, the others the conjugates of row -kh. The
// DC and Nyquist columns become Hermitian.
template <class T>
void fill_image_row(const HalfResponse<T>& half, int64_t kh, FullRow& row) {
  const int64_t width = half.width, columns = width / 2 + 1;
  const int64_t here = kh * columns, mirrored = (kh == 0 ? 0 : half.height - kh) * columns;
  const auto fill = [&](const T* part, double sign, std::vector<double>& full) {
    for (int64_t kw = 0; kw < columns; ++kw) full[kw] = part[here + kw];
    for (int64_t kw = 1; 2 * kw < width; ++kw) full[width - kw] = sign * part[mirrored + kw];
    for (const int64_t kw : {int64_t{0}, width / 2}) {
      if (kw != 0 && 2 * kw != width) continue;
      full[kw] = (part[here + kw] + sign * part[mirrored + kw]) / 2;
    }
  };
  fill(half.re, 1, row.re);
  if (half.im) fill(half.im, -1, row.im);
}

// A line of N samples as a plane: the four-step transform finds frequency k = kh + height * kw at (kh, kw).
template <class T>
void fill_line_row(const HalfResponse<T>& half, int64_t kh, int64_t height, FullRow& row) {
  const int64_t length = half.height * half.width, columns = half.width / 2 + 1;
  for (int64_t kw = 0; kw < static_cast<int64_t>(row.re.size()); ++kw) {
    const int64_t k = kh + height * kw;
    // An image of width 1 keeps its whole spectrum in one column, an image of height 1 half of it in one row.
    const int64_t mirrored = (length - k) % length;
    const int64_t a = half.width == 1 ? k : std::min(k, mirrored), b = half.width == 1 ? mirrored : a;
    const bool conjugated = half.width > 1 && k >= columns;
    const double im_a = half.im ? half.im[a] : 0.0, im_b = half.im ? half.im[b] : 0.0;
    const bool own_mirror = k == mirrored;
    row.re[kw] = (half.re[a] + static_cast<double>(half.re[b])) / 2;
    row.im[kw] = half.width == 1 ? (im_a - im_b) / 2 : own_mirror ? 0.0 : conjugated ? -im_a : im_a;
  }
}

// Outputs of the last radix that a row's nonzero columns need; 0 where it has none.
template <class T>
int outputs_needed(const FullRow& row, const FilterPlan<T>& plan) {
  const int most = plan.plan_w().last_radix();
  int outputs = 0;
  for (size_t kw = 0; kw < row.re.size() && outputs < most; ++kw) {
    if (row.re[kw] != 0 || row.im[kw] != 0) outputs = std::max(outputs, plan.outputs_of_column()[kw]);
  }
  return outputs;
}

}  // namespace

int outputs_for(int digit, int radix) {
  return std::min(radix, 2 * digit < radix ? 2 * (digit + 1) : 2 * (radix - digit));
}

FilterForm choose_filter_form(int64_t height, int64_t width, int64_t planes, int lanes) {
  const bool line = height == 1 || width == 1;
  const int64_t elements = height * width;
  const bool fills_lanes = planes >= lanes;
  if (line) {
    const bool as_lane = elements <= kLongestLineAsLane && (fills_lanes || elements < 4 * lanes);
    const int64_t columns = as_lane ? elements : balanced_divisor(elements, lanes);
    return {static_cast<int>(elements / columns), static_cast<int>(columns), true, as_lane};
  }
  const bool small = elements <= kSmallPlane || (elements <= kMiddlingPlane && width % lanes != 0);
  return {static_cast<int>(height), static_cast<int>(width), false, small && fills_lanes};
}

template <class T>
FilterPlan<T>::FilterPlan(const FilterForm& form, int lanes)
    : form_(form), lanes_(lanes), plan_h_(form.height), plan_w_(form.width) {
  const int height = form.height, width = form.width;
  const AxisPlan<T>&rows = plan_h_.plan(), &columns = plan_w_.plan();
  outputs_of_column_.resize(width);
  for (int kw = 0; kw < width; ++kw) {
    outputs_of_column_[kw] = outputs_for(columns.position[kw] % columns.last_radix(), columns.last_radix());
  }
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
  re_ = std::make_unique_for_overwrite<T[]>(count * table_elements_);
  if (is_complex) im_ = std::make_unique_for_overwrite<T[]>(count * table_elements_);
  slot_.assign(count * height, -1);
  kept_slot_.assign(channels * height, -1);
  tables_.resize(count);
  kept_.resize(channels);
  for (size_t i = 0; i < count; ++i) {
    const T* im = is_complex ? im_.get() + i * table_elements_ : nullptr;
    tables_[i] = {re_.get() + i * table_elements_, im, slot_.data() + i * height, 0, 0, 1};
  }
}

template <class T>
void ResponseTables<T>::build_channel(int64_t channel, const std::vector<HalfResponse<T>>& halves) {
  const FilterForm& form = plan_->form();
  const AxisPlan<T>& plan_h = plan_->plan_h();
  const int height = form.height, width = form.width, lanes = plan_->lanes();
  const double scale = 1.0 / (static_cast<double>(height) * width);

  // Rows are visited by rising |frequency|; a row gets the next slot as soon as one response needs it. The DC row
  // always has one: there a plane that is not finite shows itself. The rotations of a four-step transform are stored by slot
  // for all rows, so there every row has one.
  const bool keep_every_row = plan_->step_cos() != nullptr;
  int slots = 0;
  int32_t* kept_slot = &kept_slot_[channel * height];
  KeptRows& kept = kept_[channel];
  kept = {kept_slot, 0, 0};
  FullRow row(width);
  const int32_t* frequency = plan_->plan_w().frequency;
  for (int r = 0; r < responses_; ++r) {
    const size_t begin = (r * channels_ + channel) * table_elements_;
    std::fill_n(re_.get() + begin, table_elements_, T{0});
    if (im_) std::fill_n(im_.get() + begin, table_elements_, T{0});
  }
  for (const int32_t e : plan_->rows_by_frequency()) {
    const int kh = plan_h.frequency[e];
    const int row_outputs = outputs_for(e % plan_h.last_radix(), plan_h.last_radix());
    for (int r = 0; r < responses_; ++r) {
      const size_t index = r * channels_ + channel;
      ResponseTable<T>& table = tables_[index];
      if (form.line) {
        fill_line_row(halves[r], kh, height, row);
      } else {
        fill_image_row(halves[r], kh, row);
      }
      const int outputs = outputs_needed(row, *plan_);
      if (outputs == 0 && kh != 0 && !keep_every_row) continue;
      if (kept_slot[e] < 0) kept_slot[e] = slots++;
      const int slot = kept_slot[e];
      // Planes as lanes stay where they are; a slot then only says that a row is kept.
      slot_[index * height + e] = form.planes_as_lanes ? e : slot;
      table.slots = slot + 1;
      table.outputs_h = std::max(table.outputs_h, row_outputs);
      table.outputs_w = std::max({table.outputs_w, outputs, 1});
      kept.outputs = std::max(kept.outputs, row_outputs);
      const int64_t step = form.planes_as_lanes ? 1 : lanes;
      const size_t first =
          index * table_elements_ +
          (form.planes_as_lanes ? size_t(e) * width : size_t(slot / lanes) * width * lanes + slot % lanes);
      const auto store = [&](const std::vector<double>& full, T* table_row) {
        for (int w = 0; w < width; ++w) table_row[w * step] = static_cast<T>(full[frequency[w]] * scale);
      };
      store(row.re, re_.get() + first);
      if (im_) store(row.im, im_.get() + first);
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
