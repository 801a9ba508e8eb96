#include "../polyphase_pool.h"

#include <limits>

#include "dispatch.h"
#include "staging.h"

namespace freqops::cpu::FREQOPS_LEVEL {
namespace {

// --- norms ----------------------------------------------------------------------------------------------------------

template <class T, class From>
FREQOPS_HOST_DEVICE vector_of<T> load_row(const From* p) {
  if constexpr (std::is_same_v<From, T>) {
    return load<T>(p);
  } else {
    HalfLanes bits;
    std::memcpy(&bits, p, sizeof bits);
    return widen_lanes(bits, static_cast<From*>(nullptr));
  }
}
template <class T, class From>
FREQOPS_HOST_DEVICE vector_of<T> load_row_first(const From* p, int64_t count) {
  if constexpr (std::is_same_v<From, T>) {
    return load_first<T>(p, count);
  } else {
    return widen_lanes(load_first_halves(p, count), static_cast<From*>(nullptr));
  }
}

template <class T, PolyphaseNorm kNorm>
struct Norm {
  using V = vector_of<T>;
  static constexpr bool kSum = kNorm == PolyphaseNorm::kSquares || kNorm == PolyphaseNorm::kMagnitudes;
  static constexpr T kNone = kNorm == PolyphaseNorm::kLargest ? -std::numeric_limits<T>::infinity() : T{0};

  FREQOPS_HOST_DEVICE static V none() { return V{} + kNone; }
  FREQOPS_HOST_DEVICE static V of(V v) {
    if constexpr (kNorm == PolyphaseNorm::kSquares) return v * v;
    if constexpr (kNorm == PolyphaseNorm::kLargest) return v;
    return v < 0 ? -v : v;
  }
  FREQOPS_HOST_DEVICE static V join(V a, V b) {
    if constexpr (kSum) return a + b;
    return maximum<T>(a, b);
  }
  static double join(double a, double b) {
    if constexpr (kSum) return a + b;
    return a > b || a != a ? a : b;
  }

  // n samples side by side; where fewer than a vector are left, the other lanes count for nothing.
  template <class From>
  FREQOPS_HOST_DEVICE static void add(const From* in, int64_t n, V& sum) {
    constexpr int64_t kStep = kLanes<T>;
    V other = none();
    int64_t i = 0;
    for (; i + 2 * kStep <= n; i += 2 * kStep) {
      sum = join(sum, of(load_row<T>(in + i)));
      other = join(other, of(load_row<T>(in + i + kStep)));
    }
    sum = join(sum, other);
    if (i + kStep <= n) {
      sum = join(sum, of(load_row<T>(in + i)));
      i += kStep;
    }
    if (i < n) {
      V rest = of(load_row_first<T>(in + i, n - i));
      if constexpr (kNone != 0) {
        for (int lane = static_cast<int>(n - i); lane < kLanes<T>; ++lane) rest[lane] = kNone;
      }
      sum = join(sum, rest);
    }
  }

  // The lanes first, first + step, ... of a vector.
  static double join_lanes(V v, int first, int step) {
    double joined = v[first];
    for (int lane = first + step; lane < kLanes<T>; lane += step) joined = join(joined, static_cast<double>(v[lane]));
    return joined;
  }
};

// A plane of rows: even lanes hold even columns, since every row starts at lane 0.
template <class T, PolyphaseNorm kNorm, class From>
void add_plane(const Images& x, int64_t plane, double* out) {
  using N = Norm<T, kNorm>;
  const From* first = static_cast<const From*>(x.data) + x.offset(plane / x.channels, plane % x.channels);
  vector_of<T> sums[2] = {N::none(), N::none()};
  const int64_t rows = x.height + x.height % 2;
  for (int64_t r = 0; r < rows; ++r) {
    const From* row = first + (r < x.height ? r : 0) * x.row_stride;
    vector_of<T> sum = N::none();  // of this row alone: long sums of floats lose digits
    N::add(row, x.width, sum);
    if (x.width % 2) {
      vector_of<T> again = N::none();
      again[1] = N::of(vector_of<T>{} + static_cast<T>(widen(row[0])))[0];
      sum = N::join(sum, again);
    }
    sums[r % 2] = N::join(sums[r % 2], sum);
  }
  for (int component = 0; component < 4; ++component) {
    out[component] = N::join_lanes(sums[component % 2], component / 2, 2);
  }
}

// A row whose columns are runs of channels.
template <class T, PolyphaseNorm kNorm, class From>
void add_channels(const Images& x, int64_t item, double* out) {
  using N = Norm<T, kNorm>;
  const int64_t h = item % x.height;
  const From* row = static_cast<const From*>(x.data) + x.offset(item / x.height, 0) + h * x.row_stride;
  vector_of<T> sums[2] = {N::none(), N::none()};
  const int64_t columns = x.width + x.width % 2;
  for (int64_t w = 0; w < columns; w += 2) {
    N::add(row + w * x.column_stride, x.channels, sums[0]);
    N::add(row + (w + 1 < x.width ? w + 1 : 0) * x.column_stride, x.channels, sums[1]);
  }
  for (int component = 0; component < 4; ++component) {
    const int parity = component % 2;
    const bool here = h % 2 == parity || (h == 0 && x.height % 2);
    out[component] = here ? N::join_lanes(sums[component / 2], 0, 1) : double{N::kNone};
  }
}

template <class T, PolyphaseNorm kNorm>
void take_norms(const PolyphaseNorms& op, int64_t begin, int64_t end) {
  visit_element<T>(op.x.element, [&](auto* tag) {
    using From = std::remove_pointer_t<decltype(tag)>;
    for (int64_t item = begin; item < end; ++item) {
      double* out = op.partial + 4 * item;
      if (op.x.column_stride == 1) {
        add_plane<T, kNorm, From>(op.x, item, out);
      } else {
        add_channels<T, kNorm, From>(op.x, item, out);
      }
    }
  });
}

template <class T>
void norms(const PolyphaseNorms& op, int64_t begin, int64_t end) {
  switch (op.norm) {
    case PolyphaseNorm::kSquares:
      return take_norms<T, PolyphaseNorm::kSquares>(op, begin, end);
    case PolyphaseNorm::kMagnitudes:
      return take_norms<T, PolyphaseNorm::kMagnitudes>(op, begin, end);
    case PolyphaseNorm::kLargestMagnitude:
      return take_norms<T, PolyphaseNorm::kLargestMagnitude>(op, begin, end);
    default:
      return take_norms<T, PolyphaseNorm::kLargest>(op, begin, end);
  }
}

// --- one component --------------------------------------------------------------------------------------------------

// Which samples of an axis of n a component has: first, first + 2, ...; and one behind the axis, where it has that.
struct Grid {
  int64_t first, inside;
  bool behind;

  Grid(int64_t n, int64_t parity) : first(parity), inside((n - parity + 1) / 2), behind(parity == 1 && n % 2 == 1) {}
};

template <class E>
FREQOPS_HOST_DEVICE void copy_run(const E* in, int64_t n, E* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = in[i];
}

template <class E>
void pool_row(const E* row, const Grid& columns, bool circular, int64_t run, E* out) {
  if (run == 1) {
    const E* in = row + columns.first;
    for (int64_t j = 0; j < columns.inside; ++j) out[j] = in[2 * j];
  } else {
    for (int64_t j = 0; j < columns.inside; ++j) copy_run(row + (columns.first + 2 * j) * run, run, out + j * run);
  }
  if (!columns.behind) return;
  E* last = out + columns.inside * run;
  if (circular) {
    copy_run(row, run, last);
  } else {
    std::fill(last, last + run, E{0});
  }
}

template <class E>
void unpool_row(const E* in, const Grid& columns, bool circular, int64_t width, int64_t run, E* row) {
  if (run == 1) {
    // One loop for either parity, whose pairs of stores become whole vectors.
    const int64_t pairs = width / 2;
    if (columns.first == 0) {
      for (int64_t j = 0; j < pairs; ++j) row[2 * j] = in[j], row[2 * j + 1] = 0;
    } else {
      for (int64_t j = 0; j < pairs; ++j) row[2 * j] = 0, row[2 * j + 1] = in[j];
    }
    if (width % 2) row[width - 1] = columns.first == 0 ? in[pairs] : E{0};
  } else {
    for (int64_t w = 0; w < width; ++w) {
      E* out = row + w * run;
      if (w % 2 == columns.first) {
        copy_run(in + w / 2 * run, run, out);
      } else {
        std::fill(out, out + run, E{0});
      }
    }
  }
  if (columns.behind && circular) copy_run(in + columns.inside * run, run, row);
}

// An item is a plane, or a row of all channels where these lie together.
template <class E>
struct Item {
  int64_t n, row, rows, run;
  E *x, *y;

  Item(const PolyphasePool& op, int64_t height, int64_t item) {
    const bool plane = op.x.column_stride == 1;
    n = item / (plane ? op.x.channels : height);
    row = plane ? 0 : item % height;
    rows = plane ? height : 1;
    run = plane ? 1 : op.x.channels;
    const int64_t c = plane ? item % op.x.channels : 0;
    x = static_cast<E*>(op.x.data) + op.x.offset(n, c);
    y = static_cast<E*>(op.y.data) + op.y.offset(n, c);
  }
};
int64_t items_over(const Images& x, int64_t height) { return x.column_stride == 1 ? x.planes() : x.batch * height; }

template <class E>
void pool_item(const PolyphasePool& op, int64_t number) {
  const Item<E> item(op, op.y.height, number);
  const Grid rows(op.x.height, op.index[item.n] % 2), columns(op.x.width, op.index[item.n] / 2);
  for (int64_t i = item.row; i < item.row + item.rows; ++i) {
    E* out = item.y + i * op.y.row_stride;
    if (i < rows.inside || op.circular) {
      const int64_t h = i < rows.inside ? rows.first + 2 * i : 0;
      pool_row(item.x + h * op.x.row_stride, columns, op.circular, item.run, out);
    } else {
      std::fill(out, out + op.y.width * item.run, E{0});
    }
  }
}

template <class E>
void unpool_item(const PolyphasePool& op, int64_t number) {
  const Item<E> item(op, op.x.height, number);
  const Grid rows(op.x.height, op.index[item.n] % 2), columns(op.x.width, op.index[item.n] / 2);
  for (int64_t h = item.row; h < item.row + item.rows; ++h) {
    E* row = item.x + h * op.x.row_stride;
    const bool wrapped = h == 0 && rows.behind && op.circular;
    if (h % 2 == rows.first || wrapped) {
      const E* in = item.y + (wrapped ? rows.inside : h / 2) * op.y.row_stride;
      unpool_row(in, columns, op.circular, op.x.width, item.run, row);
    } else {
      std::fill(row, row + op.x.width * item.run, E{0});
    }
  }
}

// Elements are moved as they are: only how many bytes they have matters.
template <class Visit>
void visit_bytes(Element element, Visit&& visit) {
  switch (element) {
    case Element::kDouble:
      return visit(uint64_t{});
    case Element::kFloat:
      return visit(uint32_t{});
    default:
      return visit(uint16_t{});
  }
}

}  // namespace

template <class T>
void fill_polyphase_pool(Kernels<T>& kernels) {
  kernels.polyphase_norms_items = [](const PolyphaseNorms& op) { return items_over(op.x, op.x.height); };
  kernels.polyphase_norms = norms<T>;
  kernels.polyphase_pool_items = [](const PolyphasePool& op) { return items_over(op.x, op.y.height); };
  kernels.polyphase_pool = [](const PolyphasePool& op, int64_t begin, int64_t end) {
    visit_bytes(op.x.element, [&](auto element) {
      for (int64_t item = begin; item < end; ++item) pool_item<decltype(element)>(op, item);
    });
  };
  kernels.polyphase_unpool_items = [](const PolyphasePool& op) { return items_over(op.x, op.x.height); };
  kernels.polyphase_unpool = [](const PolyphasePool& op, int64_t begin, int64_t end) {
    visit_bytes(op.x.element, [&](auto element) {
      for (int64_t item = begin; item < end; ++item) unpool_item<decltype(element)>(op, item);
    });
  };
}
template void fill_polyphase_pool<float>(Kernels<float>&);
template void fill_polyphase_pool<double>(Kernels<double>&);

}  // namespace freqops::cpu::FREQOPS_LEVEL
