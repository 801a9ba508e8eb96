#include "../separable.h"

#include <algorithm>

#include "axis_sums.h"
#include "dispatch.h"
#include "staging.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Channels of an image that lies interleaved are lanes for both axes; anything else goes plane by plane.
template <class T>
bool takes_channels_as_lanes(const Images& x) {
  return x.channel_stride == 1 && x.column_stride != 1 && x.channels >= kLanes<T> / 2;
}

template <class T>
size_t most_folded_elements(const Separable<T>& op) {
  size_t elements = 0;
  for (const AxisMap<T>* map : {op.rows, op.columns}) {
    if (map) elements = std::max(elements, folded_elements(*map));
  }
  return elements;
}

// True where the planes lie one after the other, contiguous.
bool planes_follow(const Images& images) {
  const int64_t plane = images.height * images.width;
  return images.column_stride == 1 && images.row_stride == images.width &&
         (images.channels == 1 || images.channel_stride == plane) &&
         (images.batch == 1 || images.batch_stride == images.channels * plane);
}
template <class T>
bool holds(const Images& images) {
  return std::is_same_v<T, double> || images.element == Element::kFloat;
}
template <class T>
bool can_be_direct(const Images& images) {
  return is_direct<T>(images) && planes_follow(images);
}

// Fetches the planes of the next item in small parts while this one's are summed: the memory is busy all the time then.
class FetchAhead {
 public:
  void start(const Images& x, int64_t plane, int64_t count, int64_t parts) {
    if (!planes_follow(x) || plane >= x.planes()) {
      lines_ = 0;
      return;
    }
    const int64_t element = x.element == Element::kDouble ? 8 : x.element == Element::kFloat ? 4 : 2;
    const int64_t bytes = x.height * x.width * element;
    next_ = static_cast<const char*>(x.data) + plane * bytes;
    lines_ = std::min(count, x.planes() - plane) * bytes / kLine;
    part_ = divide_up(lines_, std::max<int64_t>(parts, 1));
  }
  void fetch() {
    for (int64_t end = std::max<int64_t>(0, lines_ - part_); lines_ > end; --lines_, next_ += kLine) {
      __builtin_prefetch(next_, 0, 2);
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  const char* next_ = nullptr;
  int64_t lines_ = 0, part_ = 0;
};

// --- planes -----------------------------------------------------------------------------------------------------------
// Some planes at a time. Along the height the lanes are their rows as they lie; along the width lines are transposed,
// kLanes of them at a time, and back. Rows narrower than a vector are first put end to end, so that they fill vectors.

template <class T>
class PlanesRunner {
 public:
  PlanesRunner(const Separable<T>& op, void* scratch) : op_(op), arena_(scratch) {
    narrow_in_ = has_narrow_rows(op);
    direct_in_ = narrow_in_ || can_be_direct<T>(op.x);
    // Sums along the height are written by whole vectors, sums along the width by as much of one as a row has.
    const bool ends_in_lines = op.columns && op.rows_first;
    direct_out_ = ends_in_lines ? holds<T>(op.y) && planes_follow(op.y) : can_be_direct<T>(op.y);
    together_ = planes_together(op);
    // A line of what is summed along the width, where it is kept: whole squares are written.
    const int64_t in_width = narrow_in_ ? kLanes<T> : op.x.width;
    out_width_ = !op.columns ? in_width : std::max<int64_t>(op.y.width, kLanes<T>);
    const int64_t in_row = std::max<int64_t>(together_ * in_width, kLanes<T>);
    const int64_t out_row = std::max<int64_t>(together_ * out_width_, kLanes<T>);
    in_ = {nullptr, in_row, op.x.width};
    if (!direct_in_) in_.data = arena_.take(op.x.height * in_row + kLanes<T>);
    if (op.rows && op.columns) {
      middle_ = op.rows_first ? Rows{nullptr, in_row, in_width} : Rows{nullptr, out_row, out_width_};
      const int64_t rows = (op.rows_first ? op.y.height : op.x.height) + (op.has_outer() ? 1 : 0);
      middle_.data = arena_.take(rows * middle_.row + kLanes<T>);
    }
    out_ = {nullptr, out_row, out_width_};
    if (!direct_out_) out_.data = arena_.take(op.y.height * out_row);
    folded_ = arena_.take(most_folded_elements(op));
    if (op.columns) {
      crossed_in_ = arena_.take(size_t(std::max<int64_t>(op.x.width + 1, kLanes<T>)) * kMostVectors * kLanes<T>);
      crossed_out_ = arena_.take(size_t(std::max<int64_t>(op.y.width, kLanes<T>) + 1) * kMostVectors * kLanes<T>);
      unwanted_ = arena_.take(out_width_);
    }
    if (op.has_outer()) {
      functional_ = arena_.take(op.x.height * together_);
      inner_ = arena_.take(together_);
    }
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  // So many planes that their rows fill vectors, and their lines squares; as few as do so about equally well.
  static int64_t planes_together(const Separable<T>& op) {
    constexpr int64_t kScratch = 128 << 10, kMost = 32;
    const int64_t plane =
        std::max(op.x.height * op.x.width, op.y.height * op.y.width) * static_cast<int64_t>(sizeof(T));
    const int64_t most = std::clamp<int64_t>(std::min(kScratch / plane, op.x.planes() / 4), 1, kMost);
    const auto share = [](int64_t n) { return double(n) / double(round_up(n, 2 * kLanes<T>)); };
    const int64_t lines = op.rows_first ? op.y.height : op.x.height;
    int64_t best = 1;
    double best_share = 0;
    for (int64_t planes = 1; planes <= most; ++planes) {
      const int64_t lanes = planes * (has_narrow_rows(op) ? kLanes<T> : op.x.width);
      const double both = (can_be_direct<T>(op.x) ? 1 : share(lanes)) * share(planes * lines);
      if (both > best_share * 1.02) best = planes, best_share = both;
    }
    return best;
  }
  static int64_t items(const Separable<T>& op) { return divide_up(op.x.planes(), planes_together(op)); }

  void run_item(int64_t item) {
    first_ = item * together_;
    count_ = std::min(together_, op_.x.planes() - first_);
    if (!direct_in_) load();
    ahead_.start(op_.x, first_ + together_, together_, blocks_of_sums());
    if (!op_.columns) {
      along_height(nullptr, true);
    } else if (op_.rows_first) {
      if (op_.rows) along_height(nullptr, false);
      if (op_.has_outer()) inner_of_rows();
      along_width(op_.y.height, true);
    } else {
      along_width(op_.x.height, false);
      if (op_.has_outer()) inner_of_columns(), fill_extra_row();
      along_height(&middle_, true);
    }
    if (!direct_out_) store_planes();
  }

 private:
  // Planes in scratch: their rows lie end to end, line (row, plane) at row * `row` + plane * `line`.
  struct Rows {
    T* data;
    ptrdiff_t row, line;
    T* at(int64_t row_index, int64_t plane) const { return data + row_index * row + plane * line; }
  };

  // Of a tensor whose planes follow each other.
  static T* line_of(const Images& images, int64_t plane, int64_t row) {
    return static_cast<T*>(images.data) + plane * images.height * images.width + row * images.width;
  }
  const T* input_line(int64_t row, int64_t plane) const {
    return direct_in_ ? line_of(op_.x, first_ + plane, row) : in_.at(row, plane);
  }

  // Rows that fill at least half a vector are summed where they lie, a vector each.
  static bool has_narrow_rows(const Separable<T>& op) {
    const Images& x = op.x;
    const bool fills_half = x.width < kLanes<T> && 2 * x.width >= kLanes<T>;
    return op.rows && op.rows_first && holds<T>(x) && planes_follow(x) && fills_half;
  }

  // How often map_axis comes back while an item is summed.
  int64_t blocks_of_sums() const {
    const auto calls = [](int64_t lanes) { return divide_up(divide_up(lanes, kLanes<T>), kMostVectors); };
    const auto blocks = [](const AxisMap<T>& map) { return divide_up(map.sums, map.block); };
    const int64_t lines = (op_.rows_first ? op_.y.height : op_.x.height) * together_;
    int64_t total = 0;
    if (op_.rows) total += calls(together_ * (op_.rows_first ? op_.x.width : out_width_)) * blocks(*op_.rows);
    if (op_.columns) total += calls(lines) * blocks(*op_.columns);
    return total;
  }

  void load() {
    visit_element<T>(op_.x.element, [&](auto* tag) {
      using From = std::remove_pointer_t<decltype(tag)>;
      const Images& x = op_.x;
      for (int64_t plane = 0; plane < together_; ++plane) {
        // A missing plane repeats the last one: its sums are never stored.
        const int64_t p = first_ + std::min(plane, count_ - 1);
        const From* source = static_cast<const From*>(x.data) + x.offset(p / x.channels, p % x.channels);
        for (int64_t row = 0; row < x.height; ++row, source += x.row_stride) {
          copy_row(source, x.column_stride, x.width, in_.at(row, plane));
        }
      }
    });
  }

  template <class From>
  static void copy_row(const From* source, int64_t step, int64_t n, T* target) {
    if (step != 1) {
      for (int64_t i = 0; i < n; ++i) target[i] = widen(source[i * step]);
    } else if constexpr (std::is_same_v<From, T>) {
      // By vectors: rows are short, and a call of memcpy takes longer than they do.
      int64_t i = 0;
      for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(target + i, vector_at(source + i));
      if (i < n) store_first<T>(target + i, n - i, load_first<T>(source + i, n - i));
    } else {
      widen_row(source, n, target);
    }
  }
  static vector_of<T> vector_at(const T* p) { return freqops::cpu::FREQOPS_LEVEL::load<T>(p); }

  // From scratch or the input, null, to scratch or, `last`, the output.
  void along_height(const Rows* from, bool last) {
    const bool from_tensor = !from && direct_in_, to_tensor = last && direct_out_;
    const Rows in = from_tensor ? tensor_rows(op_.x) : from ? *from : in_;
    const Rows out = to_tensor ? tensor_rows(op_.y) : last ? out_ : middle_;
    // Planes of a tensor lie apart; in scratch their rows lie end to end, and what is behind the last is free.
    const bool apart = from_tensor || to_tensor;
    const int64_t lanes = to_tensor ? op_.y.width : from_tensor ? op_.x.width : in.line;
    const Row row = apart ? Row{count_, lanes, in.line, out.line} : Row{1, together_ * lanes, 0, 0};
    if (from_tensor && narrow_in_) {
      return sum_rows(row, in, out, [&](const T* p) { return load_first<T>(p, lanes); });
    }
    sum_rows(row, in, out, [](const T* p) { return vector_at(p); });
  }
  template <class Load>
  void sum_rows(const Row& row, const Rows& in, const Rows& out, Load&& load) {
    for_each_vectors<T>(row, [&](const Vectors& vectors) {
      map_axis<T>(
          *op_.rows, vectors, folded_, out.data, out.row,
          [&](int64_t n, int v) { return load(in.data + n * in.row + vectors.from[v]); }, [&] { ahead_.fetch(); });
    });
  }
  // The planes of this item where they lie in a tensor.
  Rows tensor_rows(const Images& images) const {
    return {line_of(images, first_, 0), images.width, images.height * images.width};
  }

  // The lines of `rows` rows: of the input, or of what was summed along the height, to the output or to the middle.
  void along_width(int64_t rows, bool last) {
    const AxisMap<T>& map = *op_.columns;
    const int64_t lines = rows * together_;
    for (int64_t line = 0; line < lines;) {
      const int64_t left = divide_up(lines - line, kLanes<T>);
      const int blocks = static_cast<int>(divide_up(left, divide_up(left, kMostVectors)));
      const ptrdiff_t step = blocks * kLanes<T>;
      for (int block = 0; block < blocks; ++block) {
        cross(line + block * kLanes<T>, lines, crossed_in_ + block * kLanes<T>, step);
      }
      if (last && op_.has_outer()) fill_extra_column(line, lines, step);
      map_axis<T>(
          map, first_vectors<T>(blocks), folded_, crossed_out_, step,
          [&](int64_t n, int v) { return vector_at(crossed_in_ + n * step + v * kLanes<T>); }, [&] { ahead_.fetch(); });
      for (int block = 0; block < blocks; ++block) {
        cross_back(line + block * kLanes<T>, lines, last, crossed_out_ + block * kLanes<T>, step);
      }
      if (map.has_functional()) {
        std::copy_n(crossed_out_ + map.outputs * step, std::min<int64_t>(step, lines - line), functional_ + line);
      }
      line += step;
    }
  }

  // Squares of kLanes lines; the last one stands in for lines beyond it, and the last square starts early.
  void cross(int64_t first, int64_t lines, T* out, ptrdiff_t step) {
    const T* source[kLanes<T>];
    const bool from_middle = op_.rows && op_.rows_first;
    int64_t row = first / together_, plane = first % together_;
    for (int i = 0; i < kLanes<T>; ++i) {
      source[i] = from_middle ? middle_.at(row, plane) : input_line(row, std::min(plane, count_ - 1));
      if (first + i + 1 < lines && ++plane == together_) plane = 0, ++row;
    }
    for_each_square(op_.x.width, [&](int64_t c) {
      transpose_square<T>([&](int i) { return source[i] + c; }, [&](int i) { return out + (c + i) * step; });
    });
  }
  void cross_back(int64_t first, int64_t lines, bool last, const T* in, ptrdiff_t step) {
    T* target[kLanes<T>];
    int64_t row = first / together_, plane = first % together_;
    for (int i = 0; i < kLanes<T>; ++i) {
      if (first + i >= lines || plane >= count_) {
        target[i] = unwanted_;
      } else if (!last) {
        target[i] = middle_.at(row, plane);
      } else {
        target[i] = direct_out_ ? line_of(op_.y, first_ + plane, row) : out_.at(row, plane);
      }
      if (++plane == together_) plane = 0, ++row;
    }
    if (last && direct_out_ && op_.y.width < kLanes<T>) {
      transpose_to<T>([&](int i) { return in + i * step; },
                      [&](int i, vector_of<T> v) { store_first<T>(target[i], op_.y.width, v); });
      return;
    }
    for_each_square(op_.y.width, [&](int64_t c) {
      transpose_square<T>([&](int i) { return in + (c + i) * step; }, [&](int i) { return target[i] + c; });
    });
  }
  template <class Visit>
  static void for_each_square(int64_t width, Visit&& visit) {
    int64_t c = 0;
    for (; c + kLanes<T> <= width; c += kLanes<T>) visit(c);
    if (c < width) visit(std::max<int64_t>(0, width - kLanes<T>));
  }

  // q_h^T x q_w of each plane, from the axis that was summed first.
  void inner_of_rows() {
    for (int64_t plane = 0; plane < together_; ++plane) {
      const T* functional = middle_.at(op_.y.height, plane);
      T sum = 0;
      for (int64_t j = 0; j < op_.x.width; ++j) sum += functional[j] * op_.outer_w.q[j];
      inner_[plane] = sum;
    }
  }
  void inner_of_columns() {
    for (int64_t plane = 0; plane < together_; ++plane) {
      T sum = 0;
      for (int64_t n = 0; n < op_.x.height; ++n) sum += functional_[n * together_ + plane] * op_.outer_h.q[n];
      inner_[plane] = sum;
    }
  }
  // The extra input of the second axis: in a row behind the middle, or as one more column of transposed lines.
  void fill_extra_row() {
    for (int64_t plane = 0; plane < together_; ++plane) {
      T* row = middle_.at(op_.x.height, plane);
      for (int64_t t = 0; t < op_.y.width; ++t) row[t] = inner_[plane] * op_.outer_w.p[t];
    }
  }
  void fill_extra_column(int64_t first, int64_t lines, ptrdiff_t step) {
    T* column = crossed_in_ + op_.x.width * step;
    int64_t row = first / together_, plane = first % together_;
    for (ptrdiff_t i = 0; i < step; ++i) {
      column[i] = inner_[plane] * op_.outer_h.p[row];
      if (first + i + 1 < lines && ++plane == together_) plane = 0, ++row;
    }
  }

  void store_planes() {
    visit_element<T>(op_.y.element, [&](auto* tag) {
      using To = std::remove_pointer_t<decltype(tag)>;
      const Images& y = op_.y;
      for (int64_t plane = 0; plane < count_; ++plane) {
        const int64_t p = first_ + plane;
        To* target = static_cast<To*>(y.data) + y.offset(p / y.channels, p % y.channels);
        for (int64_t m = 0; m < y.height; ++m, target += y.row_stride) {
          put_row(out_.at(m, plane), y.width, target, y.column_stride);
        }
      }
    });
  }

  template <class To>
  static void put_row(const T* line, int64_t n, To* target, int64_t step) {
    if (step != 1) {
      for (int64_t i = 0; i < n; ++i) target[i * step] = narrow<To>(line[i]);
    } else if constexpr (std::is_same_v<To, T>) {
      copy_row(line, 1, n, target);
    } else {
      narrow_row(line, n, target);
    }
  }

  const Separable<T>& op_;
  Arena<T> arena_;
  bool narrow_in_, direct_in_, direct_out_;
  int64_t together_, out_width_;
  int64_t first_ = 0, count_ = 0;
  FetchAhead ahead_;
  Rows in_{}, middle_{}, out_{};
  T *folded_, *crossed_in_ = nullptr, *crossed_out_ = nullptr, *unwanted_ = nullptr;
  T *functional_ = nullptr, *inner_ = nullptr;
};

// --- channels as lanes --------------------------------------------------------------------------------------------------
// A group of channels of one image: each column (or row) of it is summed from memory into scratch, each row (or column)
// of that into the result.

template <class T>
class ChannelsRunner {
 public:
  ChannelsRunner(const Separable<T>& op, void* scratch) : op_(op), arena_(scratch) {
    vectors_ = vectors_together(op);
    const int64_t group = vectors_ * kLanes<T>;
    if (op.rows && op.columns) {
      middle_ = arena_.take(size_t(middle_rows(op)) * middle_columns(op) * group);
    }
    folded_ = arena_.take(most_folded_elements(op));
    sums_ = arena_.take((std::max(op.y.height, op.y.width) + 1) * group);
    inner_ = arena_.take(group);
  }
  size_t scratch_bytes() const { return arena_.bytes(); }

  static int vectors_together(const Separable<T>& op) {
    constexpr int64_t kScratch = 2 << 20;
    const int64_t vector = middle_rows(op) * middle_columns(op) * kLanes<T> * static_cast<int64_t>(sizeof(T));
    const int64_t wanted = std::min<int64_t>(kMostVectors, divide_up(op.x.channels, kLanes<T>));
    return static_cast<int>(std::clamp<int64_t>(kScratch / vector, 1, wanted));
  }
  static int64_t groups(const Separable<T>& op) { return divide_up(op.x.channels, vectors_together(op) * kLanes<T>); }
  static int64_t items(const Separable<T>& op) { return op.x.batch * groups(op); }

  void run_item(int64_t item) {
    n_ = item / groups(op_);
    c_ = item % groups(op_) * vectors_ * kLanes<T>;
    channels_ = std::min<int64_t>(vectors_ * kLanes<T>, op_.x.channels - c_);
    used_ = static_cast<int>(divide_up(channels_, kLanes<T>));
    visit_element<T>(op_.x.element, [&](auto* tag) {
      using From = std::remove_pointer_t<decltype(tag)>;
      op_.rows_first ? rows_then_columns<From>() : columns_then_rows<From>();
    });
  }

 private:
  // With the functional of the axis that is summed first.
  static int64_t middle_rows(const Separable<T>& op) {
    return op.rows_first ? op.y.height + (op.has_outer() ? 1 : 0) : op.x.height;
  }
  static int64_t middle_columns(const Separable<T>& op) {
    return op.rows_first ? op.x.width : op.y.width + (op.has_outer() ? 1 : 0);
  }
  ptrdiff_t lane_elements() const { return vectors_ * kLanes<T>; }

  template <class From>
  vector_of<T> vector_at(const From* pixel, int v) const {
    const int64_t left = channels_ - v * kLanes<T>;
    if constexpr (std::is_same_v<From, T>) {
      return left >= kLanes<T> ? load<T>(pixel + v * kLanes<T>) : load_first<T>(pixel + v * kLanes<T>, left);
    } else {
      From* const type = nullptr;
      return widen_lanes(load_first_halves(pixel + v * kLanes<T>, std::min<int64_t>(left, kLanes<T>)), type);
    }
  }
  template <class To>
  void put_vector(To* pixel, int v, vector_of<T> value) const {
    const int64_t left = channels_ - v * kLanes<T>;
    if constexpr (std::is_same_v<To, T>) {
      left >= kLanes<T> ? store<T>(pixel + v * kLanes<T>, value) : store_first<T>(pixel + v * kLanes<T>, left, value);
    } else {
      To* const type = nullptr;
      store_first_halves(pixel + v * kLanes<T>, std::min<int64_t>(left, kLanes<T>), narrow_lanes(value, type));
    }
  }

  template <class From>
  const From* pixel_in(int64_t row, int64_t column) const {
    const Images& x = op_.x;
    return static_cast<const From*>(x.data) + x.offset(n_, c_) + row * x.row_stride + column * x.column_stride;
  }
  template <class To>
  void put_pixel(int64_t row, int64_t column, const T* sums) const {
    const Images& y = op_.y;
    To* pixel = static_cast<To*>(y.data) + y.offset(n_, c_) + row * y.row_stride + column * y.column_stride;
    for (int v = 0; v < used_; ++v) put_vector(pixel, v, load<T>(sums + v * kLanes<T>));
  }

  template <class From>
  void rows_then_columns() {
    const Images &x = op_.x, &y = op_.y;
    const ptrdiff_t step = lane_elements(), row_step = x.width * step;
    for (int64_t j = 0; op_.rows && j < x.width; ++j) {
      T* out = op_.columns ? middle_ + j * step : sums_;
      map_axis<T>(
          *op_.rows, first_vectors<T>(used_), folded_, out, op_.columns ? row_step : step,
          [&](int64_t n, int v) { return vector_at(pixel_in<From>(n, j), v); }, [] {});
      for (int64_t m = 0; !op_.columns && m < y.height; ++m) put_pixel<From>(m, j, sums_ + m * step);
    }
    if (!op_.columns) return;
    if (op_.has_outer()) sum_inner(middle_ + y.height * row_step, step, x.width, op_.outer_w.q);
    for (int64_t m = 0; m < y.height; ++m) {
      map_axis<T>(
          *op_.columns, first_vectors<T>(used_), folded_, sums_, step,
          [&](int64_t n, int v) {
            if (n == x.width) return load<T>(inner_ + v * kLanes<T>) * op_.outer_h.p[m];
            return op_.rows ? load<T>(middle_ + m * row_step + n * step + v * kLanes<T>)
                            : vector_at(pixel_in<From>(m, n), v);
          },
          [] {});
      for (int64_t t = 0; t < y.width; ++t) put_pixel<From>(m, t, sums_ + t * step);
    }
  }

  template <class From>
  void columns_then_rows() {
    const Images &x = op_.x, &y = op_.y;
    const ptrdiff_t step = lane_elements(), row_step = middle_columns(op_) * step;
    for (int64_t n = 0; n < x.height; ++n) {
      map_axis<T>(
          *op_.columns, first_vectors<T>(used_), folded_, middle_ + n * row_step, step,
          [&](int64_t j, int v) { return vector_at(pixel_in<From>(n, j), v); }, [] {});
    }
    if (op_.has_outer()) sum_inner(middle_ + y.width * step, row_step, x.height, op_.outer_h.q);
    for (int64_t t = 0; t < y.width; ++t) {
      map_axis<T>(
          *op_.rows, first_vectors<T>(used_), folded_, sums_, step,
          [&](int64_t n, int v) {
            if (n == x.height) return load<T>(inner_ + v * kLanes<T>) * op_.outer_w.p[t];
            return load<T>(middle_ + n * row_step + t * step + v * kLanes<T>);
          },
          [] {});
      for (int64_t m = 0; m < y.height; ++m) put_pixel<From>(m, t, sums_ + m * step);
    }
  }

  void sum_inner(const T* functional, ptrdiff_t stride, int64_t count, const T* q) {
    for (int v = 0; v < used_; ++v) {
      vector_of<T> sum{};
      for (int64_t i = 0; i < count; ++i) sum += load<T>(functional + i * stride + v * kLanes<T>) * q[i];
      store<T>(inner_ + v * kLanes<T>, sum);
    }
  }

  const Separable<T>& op_;
  Arena<T> arena_;
  int vectors_, used_ = 0;
  int64_t n_ = 0, c_ = 0, channels_ = 0;
  T *middle_ = nullptr, *folded_, *sums_, *inner_;
};

template <class Runner, class T>
void run_items(const Separable<T>& op, int64_t begin, int64_t end, void* scratch) {
  Runner runner(op, scratch);
  for (int64_t item = begin; item < end; ++item) runner.run_item(item);
}

}  // namespace

template <class T>
void fill_separable(Kernels<T>& kernels) {
  kernels.separable_sums_together = [](bool mirrored) { return sums_together(mirrored); };
  kernels.separable_scratch = [](const Separable<T>& op) {
    return takes_channels_as_lanes<T>(op.x) ? ChannelsRunner<T>(op, nullptr).scratch_bytes()
                                            : PlanesRunner<T>(op, nullptr).scratch_bytes();
  };
  kernels.separable_items = [](const Separable<T>& op) {
    return takes_channels_as_lanes<T>(op.x) ? ChannelsRunner<T>::items(op) : PlanesRunner<T>::items(op);
  };
  kernels.separable = [](const Separable<T>& op, int64_t begin, int64_t end, void* scratch) {
    takes_channels_as_lanes<T>(op.x) ? run_items<ChannelsRunner<T>>(op, begin, end, scratch)
                                     : run_items<PlanesRunner<T>>(op, begin, end, scratch);
  };
}
template void fill_separable<float>(Kernels<float>&);
template void fill_separable<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
