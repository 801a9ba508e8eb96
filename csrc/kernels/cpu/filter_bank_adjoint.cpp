// x = sum_r filter(y_r, conj response_r): R forward transforms, one inverse.
#include <algorithm>

#include "../fft_filter.h"
#include "dispatch.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

template <class T>
class AdjointRunner {
 public:
  AdjointRunner(const FilterBank<T>& bank, void* scratch) : bank_(bank), arena_(scratch) {
    int slots = 0;
    for (int64_t c = 0; c < bank.response_channels; ++c) slots = std::max(slots, bank.kept[c].slots);
    work_ = take_workspace(arena_, *bank.plan_h, *bank.plan_w, slots);
    sum_elements_ = spectrum_elements<T>(slots, width());
    sum_ = arena_.take_lines(sum_elements_, kLanes<T>);
    stride_ = staged_stride<T>(width());
    for (T*& plane : planes_) plane = arena_.take(size_t(bank.plan_h->length) * stride_);
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  static int64_t items_per_channel(const FilterBank<T>& bank) {
    return ((bank.response_channels == 1 ? bank.x.planes() : bank.x.batch) + 1) / 2;
  }

  void run_item(int64_t item) {
    const bool shared = bank_.response_channels == 1;
    const int64_t planes = shared ? bank_.x.planes() : bank_.x.batch;
    const int64_t channel = item / items_per_channel(bank_);
    const int64_t first = item % items_per_channel(bank_) * 2;
    const int64_t pair[2] = {first, std::min(first + 1, planes - 1)};
    for (int i = 0; i < 2; ++i) {
      n_[i] = shared ? pair[i] / bank_.x.channels : pair[i];
      c_[i] = shared ? pair[i] % bank_.x.channels : channel;
    }
    const bool single = pair[0] == pair[1];
    if (run(channel, 0, 1) || single) {
      finish(channel, 0, 1);
      return;
    }
    // A plane that is not finite must not reach its partner: each by itself.
    for (const int i : {0, 1}) {
      run(channel, i, i);
      finish(channel, i, i);
    }
  }

 private:
  int width() const { return bank_.plan_w->length; }
  FourStep<T> step() const { return {bank_.step_cos, bank_.step_sin}; }

  // Sums the responses' spectra of planes a and b; false where one of them is not finite.
  bool run(int64_t channel, int a, int b) {
    const KeptRows& kept = bank_.kept[channel];
    const int source[2] = {a, b};
    std::fill(sum_.re, sum_.re + sum_elements_, T{0});
    std::fill(sum_.im, sum_.im + sum_elements_, T{0});
    bool finite = true;
    for (int r = 0; r < bank_.responses; ++r) {
      Images slab = bank_.y;
      slab.data = static_cast<char*>(bank_.y.data) + r * bank_.response_stride * element_bytes(bank_.y.element);
      for (int i = 0; i < 2; ++i) gather_plane(slab, n_[source[i]], c_[source[i]], planes_[i], stride_);
      forward_columns(*bank_.plan_h, width(), planes_[0], planes_[1], stride_, {kept.slot, kept.outputs}, work_, false);
      finite &= sum_is_finite(work_.rows.re, width()) && sum_is_finite(work_.rows.im, width());
      const ResponseTable<T>& table = bank_.tables[r * bank_.response_channels + channel];
      for (int block = 0; block < row_blocks<T>(table.slots); ++block) add_block(table, block);
    }
    return finite;
  }

  void add_block(const ResponseTable<T>& table, int block) {
    const Lines<T> lines = work_.line.lines, sum = spectrum_block(sum_, block, width());
    rows_to_lines(work_, block, width(), lines);
    turn_lines(step(), lines, block, width(), T{-1});
    forward(*bank_.plan_w, lines, lines, keep_all(*bank_.plan_w), {lines, work_.line.generic}, 1, false);
    const ptrdiff_t offset = static_cast<ptrdiff_t>(block) * width() * kLanes<T>;
    for (int e = 0; e < width(); ++e) {
      const vector_of<T> re = load<T>(table.re + offset + e * kLanes<T>);
      const vector_of<T> im = table.im ? load<T>(table.im + offset + e * kLanes<T>) : vector_of<T>{};
      const Complex<vector_of<T>> v = load_complex(lines, e);
      const Complex<vector_of<T>> product =
          table.im ? multiply_conj(v, {re, im}) : Complex<vector_of<T>>{v.re * re, v.im * re};
      store_complex(sum, e, load_complex(sum, e) + product);
    }
  }

  void finish(int64_t channel, int a, int b) {
    const KeptRows& kept = bank_.kept[channel];
    for (int block = 0; block < row_blocks<T>(kept.slots); ++block) {
      const Lines<T> lines = spectrum_block(sum_, block, width());
      inverse(*bank_.plan_w, lines, lines, keep_all(*bank_.plan_w), {lines, work_.line.generic}, 1, false);
      turn_lines(step(), lines, block, width(), T{1});
      lines_to_rows(work_, block, width(), lines);
    }
    inverse_columns(*bank_.plan_h, width(), planes_[0], planes_[1], stride_, {kept.slot, kept.outputs}, work_, false);
    const int target[2] = {a, b};
    for (int i = 0; i < 2; ++i) {
      scatter_plane(bank_.x, bank_.x.offset(n_[target[i]], c_[target[i]]), planes_[i], stride_);
    }
  }

  static size_t element_bytes(Element element) {
    return element == Element::kDouble ? 8 : element == Element::kFloat ? 4 : 2;
  }

  const FilterBank<T>& bank_;
  Arena<T> arena_;
  PairWorkspace<T> work_;
  size_t sum_elements_;
  Lines<T> sum_;
  ptrdiff_t stride_;
  T* planes_[2];
  int64_t n_[2], c_[2];
};

template <class T>
void run(const FilterBank<T>& bank, int64_t begin, int64_t end, void* scratch) {
  AdjointRunner<T> runner(bank, scratch);
  for (int64_t item = begin; item < end; ++item) runner.run_item(item);
}

}  // namespace

template <class T>
void fill_filter_bank_adjoint(Kernels<T>& kernels) {
  kernels.filter_bank_adjoint_scratch = [](const FilterBank<T>& bank) {
    return AdjointRunner<T>(bank, nullptr).scratch_bytes();
  };
  kernels.filter_bank_adjoint_items = [](const FilterBank<T>& bank) {
    return AdjointRunner<T>::items_per_channel(bank) * bank.response_channels;
  };
  kernels.filter_bank_adjoint = run<T>;
}
template void fill_filter_bank_adjoint<float>(Kernels<float>&);
template void fill_filter_bank_adjoint<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
