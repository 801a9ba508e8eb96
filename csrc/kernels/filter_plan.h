// What a filter needs besides the pixels: which kernel form suits a shape, the plans of its axes, and response tables.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fft/plan_builder.h"
#include "fft_filter.h"

namespace freqops {

// How the CPU kernels treat planes of a given shape.
struct FilterForm {
  int height, width;     // of the plane that is transformed; differs from the image's only for a line
  bool line;             // the image is one line (height or width 1), filtered as a plane by the four-step transform
  bool planes_as_lanes;  // else adjacent columns are lanes
};
FilterForm choose_filter_form(int64_t height, int64_t width, int64_t planes, int lanes);

// Outputs of the last radix that must be kept so that output `digit` of `radix` is among them: see Kept.
int outputs_for(int digit, int radix);

template <class T>
class FilterPlan {
 public:
  FilterPlan(const FilterForm& form, int lanes);

  const FilterForm& form() const { return form_; }
  int lanes() const { return lanes_; }
  const AxisPlan<T>& plan_h() const { return plan_h_.plan(); }
  const AxisPlan<T>& plan_w() const { return plan_w_.plan(); }
  const T* step_cos() const { return step_cos_.empty() ? nullptr : step_cos_.data(); }
  const T* step_sin() const { return step_sin_.empty() ? nullptr : step_sin_.data(); }
  // Positions of the H axis by rising |frequency|: the slots of a response table are given out in this order.
  const std::vector<int32_t>& rows_by_frequency() const { return rows_by_frequency_; }
  // The inverse of that order, position -> slot, for when every row is kept.
  const std::vector<int32_t>& slot_of_row() const { return slot_of_row_; }
  // By frequency of the W axis: outputs of the last radix that must be kept for it.
  const std::vector<int>& outputs_of_column() const { return outputs_of_column_; }
  size_t bytes() const { return plan_h_.bytes() + plan_w_.bytes() + 2 * step_cos_.size() * sizeof(T); }
  std::string describe() const;

 private:
  FilterForm form_;
  int lanes_;
  PlannedAxis<T> plan_h_, plan_w_;
  std::vector<int32_t> rows_by_frequency_, slot_of_row_;
  std::vector<int> outputs_of_column_;
  std::vector<T> step_cos_, step_sin_;
};

// One half response [height][width / 2 + 1] of an image, contiguous; im is null where it is real.
template <class T>
struct HalfResponse {
  const T* re;
  const T* im;
  int64_t height, width;  // of the image
};

// The tables of `responses` x `channels` half responses, ready for FilterBank.
template <class T>
class ResponseTables {
 public:
  ResponseTables(std::shared_ptr<const FilterPlan<T>> plan, int responses, int64_t channels, bool is_complex);

  // Finds the rows of one channel that matter and fills its tables, which hold nothing before. Channels are independent
  // of each other, so a caller may build them in parallel; all of them must be built before attach.
  void build_channel(int64_t channel, const std::vector<HalfResponse<T>>& responses);

  void attach(FilterBank<T>& bank) const;
  size_t bytes() const {
    return tables_.size() * table_elements_ * (im_ ? 2 : 1) * sizeof(T) + slot_.size() * sizeof(int32_t);
  }

 private:
  std::shared_ptr<const FilterPlan<T>> plan_;
  int responses_;
  int64_t channels_;
  size_t table_elements_;
  std::unique_ptr<T[]> re_, im_;    // [responses][channels][table_elements_]
  std::vector<int32_t> slot_;       // [responses][channels][H]
  std::vector<int32_t> kept_slot_;  // [channels][H]
  std::vector<ResponseTable<T>> tables_;
  std::vector<KeptRows> kept_;
};

}  // namespace freqops
