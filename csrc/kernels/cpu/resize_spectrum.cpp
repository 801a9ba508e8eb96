#include "../resize_spectrum.h"

#include <algorithm>

#include "dispatch.h"
#include "plane_pair.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

// The rows of a workspace in kLanes-blocks, resized along the width: transposed, transformed, cut, weighed, transformed
// back and transposed back.
template <class T>
class LineResizer {
 public:
  LineResizer(const ResizedAxis<T>& axis, Arena<T>& arena) : axis_(axis) {
    in_ = arena.take_lines(size_t(std::max(axis.in->length, kLanes<T>)) * kLanes<T>, kLanes<T>);
    kept_ = arena.take_lines(size_t(axis.in_slots) * kLanes<T>, kLanes<T>);
    out_ = arena.take_lines(size_t(std::max(axis.out->length, kLanes<T>)) * kLanes<T>, kLanes<T>);
    generic_ = arena.take(
        std::max(generic_scratch_elements<T>(axis.in->generic), generic_scratch_elements<T>(axis.out->generic)));
  }

  // change(kept) sees the slots between the transforms, before they are folded and weighed.
  template <class Change>
  void run(const PairWorkspace<T>& from, const PairWorkspace<T>& to, int block, vector_of<T> lane_gain,
           Change&& change) {
    rows_to_lines(from, block, axis_.in->length, in_);
    forward(*axis_.in, in_, kept_, {axis_.in_slot, axis_.in_outputs}, {in_, generic_}, 1, false);
    change(kept_);
    if (axis_.folds()) {
      store_complex(kept_, axis_.nyquist, load_complex(kept_, axis_.nyquist) + load_complex(kept_, axis_.slots));
    }
    for (int slot = 0; slot < axis_.slots; ++slot) {
      const vector_of<T> gain = axis_.gain[slot] * lane_gain;
      const Complex<vector_of<T>> v = load_complex(kept_, slot);
      store_complex(kept_, slot, {v.re * gain, v.im * gain});
    }
    inverse(*axis_.out, kept_, out_, {axis_.out_slot, axis_.out_outputs}, {out_, generic_}, 1, false);
    lines_to_rows(to, block, axis_.out->length, out_);
  }

 private:
  const ResizedAxis<T>& axis_;
  Lines<T> in_, kept_, out_;
  T* generic_;
};

template <class T>
PairWorkspace<T> rows_only(Arena<T>& arena, int rows, int width) {
  PairWorkspace<T> work{};
  const ptrdiff_t stride = row_stride<T>(width);
  work.rows = arena.take_lines(size_t(row_blocks<T>(rows)) * kLanes<T> * stride, stride);
  return work;
}

// --- planes -------------------------------------------------------------------------------------------------------------

template <class T>
class PlaneResizer {
 public:
  PlaneResizer(const ResizeSpectrum<T>& op, void* scratch) : op_(op), arena_(scratch), width_(op.w, arena_) {
    in_work_ = take_workspace(arena_, *op.h.in, *op.w.in, op.h.in_slots);
    out_work_ = take_workspace(arena_, *op.h.out, *op.w.out, op.h.slots);
    in_stride_ = staged_stride<T>(op.x.width);
    out_stride_ = staged_stride<T>(op.y.width);
    for (T*& plane : in_planes_) plane = arena_.take(size_t(op.x.height) * in_stride_);
    for (T*& plane : out_planes_) plane = arena_.take(size_t(op.y.height) * out_stride_);
  }
  size_t scratch_bytes() const { return arena_.bytes(); }
  static int64_t items(const ResizeSpectrum<T>& op) { return (op.x.planes() + 1) / 2; }

  void run_item(int64_t item) {
    const int64_t first = 2 * item, count = std::min<int64_t>(2, op_.x.planes() - first);
    const T* in[2];
    for (int i = 0; i < 2; ++i) in[i] = load_plane(first + std::min<int64_t>(i, count - 1), in_planes_[i]);
    if (resize(in[0], in[1], first, count, count > 1)) return;
    // What is not finite reaches its partner: each plane with itself.
    resize(in[0], in[0], first, 1, false);
    resize(in[1], in[1], first + 1, 1, false);
  }

 private:
  const T* load_plane(int64_t plane, T* staging) const {
    const int64_t n = plane / op_.x.channels, c = plane % op_.x.channels;
    if (is_direct<T>(op_.x)) return static_cast<const T*>(op_.x.data) + op_.x.offset(n, c);
    gather_plane(op_.x, n, c, staging, in_stride_);
    return staging;
  }

  // The first `count` results go to planes from `first` on. False, with nothing written, where a pixel of a pair is not
  // finite.
  bool resize(const T* a, const T* b, int64_t first, int64_t count, bool pair) {
    const bool direct = is_direct<T>(op_.y);
    T* out[2] = {out_planes_[0], out_planes_[1]};
    for (int i = 0; direct && i < count; ++i) out[i] = static_cast<T*>(op_.y.data) + offset(first + i);
    forward_columns(*op_.h.in, op_.w.in->length, a, b, in_stride_, {op_.h.in_slot, op_.h.in_outputs}, in_work_, false);
    const Lines<T> rows = in_work_.rows;
    if (pair && !(sum_is_finite(rows.re, op_.w.in->length) && sum_is_finite(rows.im, op_.w.in->length))) return false;
    find_corner();
    if (op_.h.folds()) add_row(op_.h.nyquist, op_.h.slots);
    resize_rows();
    inverse_columns(*op_.h.out, op_.w.out->length, out[0], out[1], out_stride_, {op_.h.out_slot, op_.h.out_outputs},
                    out_work_, false);
    if (op_.two_corner && !op_.h.folds()) add_corner(out);
    for (int i = 0; !direct && i < count; ++i) scatter_plane(op_.y, offset(first + i), out[i], out_stride_);
    return true;
  }
  int64_t offset(int64_t plane) const { return op_.y.offset(plane / op_.y.channels, plane % op_.y.channels); }

  void add_row(int to, int from) {
    const Lines<T> rows = in_work_.rows;
    for (T* part : {rows.re, rows.im}) {
      for (int j = 0; j < op_.w.in->length; ++j) part[to * rows.stride + j] += part[from * rows.stride + j];
    }
  }

  void resize_rows() {
    for (int block = 0; block < row_blocks<T>(op_.h.slots); ++block) {
      const int first = block * kLanes<T>;
      const vector_of<T> gain = load_first<T>(op_.h.gain + first, std::min(kLanes<T>, op_.h.slots - first));
      const int lane = op_.two_corner ? op_.h.nyquist - first : -1;
      width_.run(in_work_, out_work_, block, gain, [&](Lines<T> kept) {
        if (lane < 0 || lane >= kLanes<T>) return;
        T* re = kept.re + op_.w.nyquist * kept.stride + lane;
        T* im = kept.im + op_.w.nyquist * kept.stride + lane;
        if (op_.h.folds()) {
          *re -= 4 * corner_.re;  // before the gains
          *im -= 4 * corner_.im;
        } else {
          corner_ = {*re, *im};
        }
      });
    }
  }

  // Half the sum of the four bins (+-K/2, +-L/2) differs from that of (K/2, L/2) and (-K/2, -L/2) by
  // sum_nj x[n, j] sin(pi K n / H) sin(pi L j / W), of which the rows K/2 and -K/2 hold the sum over n.
  void find_corner() {
    if (!op_.two_corner || !op_.h.folds()) return;
    const Lines<T> rows = in_work_.rows;
    const ptrdiff_t plus = op_.h.nyquist * rows.stride, minus = op_.h.slots * rows.stride;
    T re = 0, im = 0;
    for (int j = 0; j < op_.w.in->length; ++j) {
      // (X[-K/2] - X[K/2]) / 2i
      re += (rows.im[minus + j] - rows.im[plus + j]) / 2 * op_.w.sine[j];
      im -= (rows.re[minus + j] - rows.re[plus + j]) / 2 * op_.w.sine[j];
    }
    corner_ = {re, im};
  }
  // The transpose of that: the bin that was found comes back as a product of sines.
  void add_corner(T* const (&out)[2]) const {
    const T scale = -4 * op_.h.gain[op_.h.nyquist] * op_.w.gain[op_.w.nyquist];
    const T value[2] = {corner_.re * scale, corner_.im * scale};
    for (int i = 0; i < 2; ++i) {
      for (int64_t n = 0; n < op_.y.height; ++n) {
        const T factor = value[i] * op_.h.sine[n];
        T* row = out[i] + n * out_stride_;
        for (int64_t j = 0; j < op_.y.width; ++j) row[j] += factor * op_.w.sine[j];
      }
    }
  }

  const ResizeSpectrum<T>& op_;
  Arena<T> arena_;
  LineResizer<T> width_;
  PairWorkspace<T> in_work_, out_work_;
  ptrdiff_t in_stride_, out_stride_;
  T* in_planes_[2];
  T* out_planes_[2];
  Complex<T> corner_{};
};

// --- lines --------------------------------------------------------------------------------------------------------------

// kLanes lines are real parts, the next kLanes imaginary parts.
template <class T>
class SignalResizer {
 public:
  SignalResizer(const ResizeSpectrum<T>& op, void* scratch) : op_(op), arena_(scratch), width_(op.w, arena_) {
    in_ = rows_only(arena_, kLanes<T>, op.w.in->length);
    out_ = rows_only(arena_, kLanes<T>, op.w.out->length);
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  static int64_t lines(const ResizeSpectrum<T>& op) { return op.x.planes() * op.x.height; }
  static int64_t items(const ResizeSpectrum<T>& op) { return (lines(op) + 2 * kLanes<T> - 1) / (2 * kLanes<T>); }

  void run_item(int64_t item) {
    const int64_t first = item * 2 * kLanes<T>;
    if (resize(first, first + kLanes<T>, true)) return;
    resize(first, first, false);
    resize(first + kLanes<T>, first + kLanes<T>, false);
  }

 private:
  // False, with nothing written, where a sample of a pair is not finite.
  bool resize(int64_t re, int64_t im, bool pair) {
    load_lines(re, in_.rows.re);
    load_lines(im, in_.rows.im);
    bool finite = true;
    width_.run(in_, out_, 0, vector_of<T>{} + 1, [&](Lines<T> kept) {
      const vector_of<T> zero = (load<T>(kept.re) + load<T>(kept.im)) * 0;
      for (int lane = 0; lane < kLanes<T>; ++lane) finite &= zero[lane] == 0;
    });
    if (pair && !finite) return false;
    put_lines(re, out_.rows.re);
    if (pair) put_lines(im, out_.rows.im);
    return true;
  }
  using Row = std::pair<int64_t, int64_t>;  // plane, row of it
  Row row_of(int64_t line) const {
    const int64_t last = lines(op_) - 1, at = std::min(line, last);
    return {at / op_.x.height, at % op_.x.height};
  }

  void load_lines(int64_t first, T* rows) const {
    visit_element<T>(op_.x.element, [&](auto* tag) {
      using From = std::remove_pointer_t<decltype(tag)>;
      const Images& x = op_.x;
      for (int lane = 0; lane < kLanes<T>; ++lane, rows += in_.rows.stride) {
        const auto [plane, row] = row_of(first + lane);
        const From* source =
            static_cast<const From*>(x.data) + x.offset(plane / x.channels, plane % x.channels) + row * x.row_stride;
        if (x.column_stride == 1) {
          widen_row(source, x.width, rows);
        } else {
          for (int64_t j = 0; j < x.width; ++j) rows[j] = widen(source[j * x.column_stride]);
        }
      }
    });
  }
  void put_lines(int64_t first, const T* rows) const {
    visit_element<T>(op_.y.element, [&](auto* tag) {
      using To = std::remove_pointer_t<decltype(tag)>;
      const Images& y = op_.y;
      const int64_t count = std::min<int64_t>(kLanes<T>, lines(op_) - first);
      for (int64_t lane = 0; lane < count; ++lane, rows += out_.rows.stride) {
        const auto [plane, row] = row_of(first + lane);
        To* target = static_cast<To*>(y.data) + y.offset(plane / y.channels, plane % y.channels) + row * y.row_stride;
        if (y.column_stride == 1) {
          narrow_row(rows, y.width, target);
        } else {
          for (int64_t j = 0; j < y.width; ++j) target[j * y.column_stride] = narrow<To>(rows[j]);
        }
      }
    });
  }

  const ResizeSpectrum<T>& op_;
  Arena<T> arena_;
  LineResizer<T> width_;
  PairWorkspace<T> in_, out_;
};

template <class Resizer, class T>
void run_items(const ResizeSpectrum<T>& op, int64_t begin, int64_t end, void* scratch) {
  Resizer resizer(op, scratch);
  for (int64_t item = begin; item < end; ++item) resizer.run_item(item);
}

}  // namespace

template <class T>
void fill_resize_spectrum(Kernels<T>& kernels) {
  kernels.resize_spectrum_scratch = [](const ResizeSpectrum<T>& op) {
    return op.lines ? SignalResizer<T>(op, nullptr).scratch_bytes() : PlaneResizer<T>(op, nullptr).scratch_bytes();
  };
  kernels.resize_spectrum_items = [](const ResizeSpectrum<T>& op) {
    return op.lines ? SignalResizer<T>::items(op) : PlaneResizer<T>::items(op);
  };
  kernels.resize_spectrum = [](const ResizeSpectrum<T>& op, int64_t begin, int64_t end, void* scratch) {
    op.lines ? run_items<SignalResizer<T>>(op, begin, end, scratch)
             : run_items<PlaneResizer<T>>(op, begin, end, scratch);
  };
}
template void fill_resize_spectrum<float>(Kernels<float>&);
template void fill_resize_spectrum<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
