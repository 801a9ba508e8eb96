#include "../fft_filter.h"

#include "columns_as_lanes.h"
#include "dispatch.h"
#include "filter_deal.h"
#include "planes_as_lanes.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

// Runs a fused filter over groups of planes: addresses, staging, complements, and the redoing of groups in which a
// plane is not finite.
template <class T, int Group, class Filter>
class BankRunner {
 public:
  BankRunner(const FilterBank<T>& bank, void* scratch)
      : bank_(bank),
        deal_(bank),
        halves_(deal_.halves_are_blocks()),
        arena_(scratch),
        filter_(bank, arena_),
        direct_in_(can_be_direct(bank.x)),
        direct_out_(can_be_direct(bank.y)),
        // Columns as lanes read whole vectors of a row; planes as lanes see a plane as one run of elements.
        stride_(Group == 2 ? staged_stride<T>(width()) : width()),
        plane_(std::max<size_t>(size_t(height()) * stride_, kLanes<T>)),
        blocks_(bank, arena_, deal_.by_blocks(), plane_, stride_) {
    for (int i = 0; i < Group; ++i) {
      in_[i] = direct_in_ || deal_.by_blocks() ? nullptr : arena_.take(plane_);
      out_[i] = direct_out_ || deal_.by_blocks() ? nullptr : arena_.take(plane_);
    }
    extra_ = direct_out_ || bank.complement == Complement::kNone ? nullptr : arena_.take(plane_ * Group);
  }

  size_t scratch_bytes() const { return arena_.bytes(); }

  void run_item(int64_t item, int64_t end) {
    planes_ = deal_.of(item);
    if (deal_.by_blocks()) blocks_.show(planes_);
    if (halves_) gather_halves();
    FilterTask<T, Group> task;
    for (int i = 0; i < Group; ++i) {
      const int j = i < planes_.count ? i : stand_in(i);
      task.in[i] = input(j, i < planes_.count);
      task.out[i] = output(j);
      task.wanted[i] = i < planes_.count;
    }
    task.stride = stride_;
    task.response_stride = direct_out_ ? bank_.response_stride : 0;
    task.channel = bank_.response_channels == 1 ? 0 : planes_.c[0];
    // Small planes come quickly enough by themselves.
    constexpr size_t kWorthFetching = size_t{64} << 10;
    const bool consecutive = direct_in_ && bank_.response_channels == 1 && item + 1 < end;
    task.next = consecutive && Group * plane_ * sizeof(T) >= kWorthFetching ? task.in[0] + Group * plane_ : nullptr;
    task.next_elements = std::min<size_t>(Group * plane_, remaining_planes(item) * plane_);
    run_task(task);
  }

  // After the last item.
  void finish() { blocks_.put_back(); }

 private:
  const T* input(int i, bool first_use) {
    const int64_t n = planes_.n[i], c = planes_.c[i];
    if (direct_in_) return static_cast<const T*>(bank_.x.data) + bank_.x.offset(n, c);
    if (deal_.by_blocks()) return blocks_.in(n, c);
    if (first_use && !halves_) gather(i);
    return in_[i];
  }
  T* output(int i) const {
    const int64_t n = planes_.n[i], c = planes_.c[i];
    if (direct_out_) return static_cast<T*>(bank_.y.data) + bank_.y.offset(n, c);
    return deal_.by_blocks() ? blocks_.out(n, c) : out_[i];
  }

  bool can_be_direct(const Images& images) const {
    if (images.height != height() || images.width != width()) return false;
    if (Group == 2) return is_direct<T>(images);
    const bool same = std::is_same_v<T, double> || images.element == Element::kFloat;
    return same && images.column_stride == 1 && images.row_stride == images.width &&
           images.height * images.width >= kLanes<T>;
  }
  // Of the grid that is transformed; an image smaller than it is followed by zeros, a result the first part of it.
  int64_t height() const { return bank_.plan_h->length; }
  int64_t width() const { return bank_.plan_w->length; }
  int64_t remaining_planes(int64_t item) const { return std::max<int64_t>(0, bank_.x.planes() - (item + 1) * Group); }

  void gather(int i) const {
    int64_t rows = 0;
    for_each_part(bank_.x, [&](const Images& part, int64_t skipped) {
      gather_plane(part, part.offset(planes_.n[i], planes_.c[i]) + skipped, in_[i] + rows * stride_, stride_);
      rows += part.height;
    });
    std::fill(in_[i] + rows * stride_, in_[i] + plane_, T{0});
  }

  // A group's planes lie equally far apart, as they were taken from the arena.
  template <class Visit>
  void for_each_half(T* const (&staged)[Group], Visit&& visit) const {
    for (int first = 0; first < planes_.count; first += kLanes<T>) {
      const int channels = std::min<int>(kLanes<T>, planes_.count - first);
      visit(first, channels, StagedPlanes<T>{staged[first], size_t(staged[1] - staged[0]), stride_});
    }
  }

  void gather_halves() const {
    for_each_half(in_, [&](int first, int channels, const StagedPlanes<T>& planes) {
      gather_channels<T>(bank_.x, bank_.x.offset(planes_.n[first], planes_.c[first]), channels, planes);
    });
    for (int i = 0; i < planes_.count; ++i) std::fill(in_[i] + bank_.x.height * stride_, in_[i] + plane_, T{0});
  }

  void scatter_halves(const FilterTask<T, Group>& task, int r) const {
    for_each_half(out_, [&](int first, int channels, const StagedPlanes<T>& planes) {
      const int64_t offset = bank_.y.offset(planes_.n[first], planes_.c[first]) + r * bank_.response_stride;
      if (task.wanted[first]) scatter_channels<T>(bank_.y, offset, 0, channels, planes);
    });
  }

  void scatter(const Images& images, int64_t offset, const T* plane) const {
    int64_t rows = 0;
    for_each_part(images, [&](const Images& part, int64_t skipped) {
      scatter_plane(part, offset + skipped, plane + rows * stride_, stride_);
      rows += part.height;
    });
  }

  // The images as rows of the grid, with the elements of a plane that come before. All of them at once, but for a line
  // shorter than the grid it is cut into: that has whole rows, and the rest of a row.
  template <class Visit>
  void for_each_part(const Images& images, Visit&& visit) const {
    const bool shorter_line = bank_.step_cos && images.height == 1 && height() > 1;
    if (!shorter_line) return visit(images, int64_t{0});
    Images part = images;
    part.row_stride = width() * images.column_stride;
    part.height = images.width / width();
    part.width = width();
    if (part.height > 0) visit(part, int64_t{0});
    const int64_t skipped = part.height * part.row_stride;
    part.height = 1;
    part.width = images.width % width();
    if (part.width > 0) visit(part, skipped);
  }

  // What takes the place of a missing plane: an imaginary part repeats its own real part, so that it can spoil nobody.
  int stand_in(int i) const {
    const int real_part = i - Group / 2;
    return real_part >= 0 && real_part < planes_.count ? real_part : planes_.count - 1;
  }

  void run_task(const FilterTask<T, Group>& task) {
    const auto finish = [&](int r) { finish_response(task, r); };
    constexpr int kHalf = Group / 2;
    const bool packed = planes_.count > kHalf;
    if (filter_.run(task, packed, finish)) return;
    for (int part = 0; part < 2; ++part) {
      FilterTask<T, Group> apart = task;
      for (int i = 0; i < kHalf; ++i) {
        const int keep = part * kHalf + i, drop = (1 - part) * kHalf + i;
        apart.in[drop] = apart.in[keep];
        apart.wanted[drop] = false;
      }
      filter_.run(apart, false, [&](int r) { finish_response(apart, r); });
    }
  }

  void finish_response(const FilterTask<T, Group>& task, int r) {
    if (deal_.by_blocks()) return;  // written with their block
    if (halves_) return scatter_halves(task, r);
    for (int i = 0; i < planes_.count; ++i) {
      if (!task.wanted[i]) continue;
      const int64_t offset = bank_.y.offset(planes_.n[i], planes_.c[i]) + r * bank_.response_stride;
      const T* y = task.out[i] + r * task.response_stride;
      if (bank_.complement == Complement::kEach) finish_each(task.in[i], y, offset, i);
      if (bank_.complement == Complement::kRest) finish_rest(task.in[i], y, r, i);
      if (!direct_out_) scatter(bank_.y, offset, y);
    }
  }

  void finish_each(const T* x, const T* y, int64_t offset, int i) {
    T* high = direct_out_ ? static_cast<T*>(bank_.high) + offset : extra_ + i * plane_;
    subtract(x, y, high);
    if (!direct_out_) {
      Images target = bank_.y;
      target.data = bank_.high;
      scatter(target, offset, high);
    }
  }

  void finish_rest(const T* x, const T* y, int r, int i) {
    const int64_t offset = bank_.y.offset(planes_.n[i], planes_.c[i]) + bank_.responses * bank_.response_stride;
    T* rest = direct_out_ ? static_cast<T*>(bank_.y.data) + offset : extra_ + i * plane_;
    subtract(r == 0 ? x : rest, y, rest);
    if (!direct_out_ && r + 1 == bank_.responses) scatter(bank_.y, offset, rest);
  }

  void subtract(const T* x, const T* y, T* out) const {
    const size_t elements = size_t(height()) * stride_;
    for (size_t e = 0; e < elements; ++e) out[e] = x[e] - y[e];
  }

  const FilterBank<T>& bank_;
  Deal<T, Group> deal_;
  bool halves_;
  Arena<T> arena_;
  Filter filter_;
  bool direct_in_, direct_out_;
  int64_t stride_;
  size_t plane_;
  BlockStage<T> blocks_;
  T* in_[Group];
  T* out_[Group];
  T* extra_;
  typename Deal<T, Group>::Planes planes_;
};

template <class T>
using PairRunner = BankRunner<T, 2, PairFilter<T>>;
template <class T>
using GroupRunner = BankRunner<T, kGroup<T>, GroupFilter<T>>;

template <class T>
size_t filter_bank_scratch(const FilterBank<T>& bank) {
  if (bank.planes_as_lanes) return GroupRunner<T>(bank, nullptr).scratch_bytes();
  return PairRunner<T>(bank, nullptr).scratch_bytes();
}

template <class T>
int64_t filter_bank_items(const FilterBank<T>& bank) {
  return bank.planes_as_lanes ? Deal<T, kGroup<T>>(bank).items() : Deal<T, 2>(bank).items();
}

template <class Runner, class T>
void run_items(const FilterBank<T>& bank, int64_t begin, int64_t end, void* scratch) {
  Runner runner(bank, scratch);
  for (int64_t item = begin; item < end; ++item) runner.run_item(item, end);
  runner.finish();
}

template <class T>
void filter_bank(const FilterBank<T>& bank, int64_t begin, int64_t end, void* scratch) {
  if (bank.planes_as_lanes) {
    run_items<GroupRunner<T>>(bank, begin, end, scratch);
  } else {
    run_items<PairRunner<T>>(bank, begin, end, scratch);
  }
  if (bank.stream) streaming_fence();
}

}  // namespace

template <class T>
void fill_fft_filter(Kernels<T>& kernels) {
  kernels.filter_bank_scratch = filter_bank_scratch<T>;
  kernels.filter_bank_items = filter_bank_items<T>;
  kernels.filter_bank = filter_bank<T>;
}
template void fill_fft_filter<float>(Kernels<float>&);
template void fill_fft_filter<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
