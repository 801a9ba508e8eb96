// The FFT filter of planes of any size, two real planes a + ib at a time as in the plane form.
// Planes that fit shared memory go through one kernel. The others take three: rows, columns with
// the response, rows back, in chunks of planes whose spectra stay in the L2 cache between them.
//
// In the latter a pair with a NaN, or with a value that overflowed, is noted by the last kernel and
// redone apart by a fourth one, which finds nothing to do otherwise.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>

#include "element.h"
#include "fft_filter_lines.h"
#include "filter_arguments.h"
#include "plane_pair.h"

namespace freqops::cuda {

// The gains of one response, real or complex.
struct Gains {
  const float* table;
  bool complex;
  int64_t start;

  FREQOPS_HOST_DEVICE Complex<float> apply(Complex<float> value, int64_t entry) const {
    if (complex) return multiply(value, reinterpret_cast<const Complex<float>*>(table)[start + entry]);
    return apply_gain(value, table[start + entry]);
  }
};

// A single response on its way to filter_lines: of whole planes, and of some columns of one plane.
struct RespondToPlanes {
  Gains gains;
  const PlanePair* pair;
  int width;
  FREQOPS_HOST_DEVICE Complex<float> operator()(Complex<float> value, int plane, int column, int position) const {
    return gains.apply(value, pair[plane].response + position * width + column);
  }
};
struct RespondToColumns {
  Gains gains;
  int64_t response;
  int width, first_column;
  FREQOPS_HOST_DEVICE Complex<float> operator()(Complex<float> value, int, int line, int position) const {
    const int column = first_column + line;
    return column < width ? gains.apply(value, response + position * width + column) : value;
  }
};

struct LinesArguments {
  ElementPointer x, y, high;  // high.data is null unless asked for
  const float* table;
  Complex<float>* work;
  PlaneBatch batch;
  int responses;
  bool complex_response, many;
  LinesGeometry geometry;
  // Of the three kernels: where a chunk's spectra lie, before the response and after it, how many
  // pairs it has room for, and a flag for every pair of the batch.
  Complex<float>* spectrum;
  Complex<float>* filtered;
  int* redo;
  int64_t first_pair, chunk;

  FREQOPS_HOST_DEVICE int pixels() const { return geometry.pixels(); }
  FREQOPS_HOST_DEVICE PlaneStrides strides() const { return {pixels(), pixels()}; }
  FREQOPS_HOST_DEVICE Gains gains(int r) const {
    return {table, complex_response, int64_t{r} * batch.channels * pixels()};
  }
  FREQOPS_HOST_DEVICE Complex<float> load(const PlanePair& pair, int pixel) const {
    return {x.load(pair.first + pixel), x.load(pair.second + pixel)};
  }
  FREQOPS_HOST_DEVICE void store(const PlanePair& pair, int r, int pixel, Complex<float> value) const {
    const int64_t slab = int64_t{r} * batch.planes() * pixels();
    store_element(slab, pair.first + pixel, value.re);
    if (pair.second != pair.first) store_element(slab, pair.second + pixel, value.im);
  }
  FREQOPS_HOST_DEVICE void store_element(int64_t slab, int64_t place, float value) const {
    y.store(slab + place, value);
    // From the unrounded value: half types round once.
    if (high.data) high.store(slab + place, x.load(place) - value);
  }
};

FREQOPS_HOST_DEVICE bool is_finite(Complex<float> value) { return is_finite(value.re) && is_finite(value.im); }

// What follows takes its planes as Arguments say: LinesArguments, or those of fft_filter_padded.cuh.

// Planes that fit shared memory.
template <class Arguments_>
class LinesPlaneFilter {
 public:
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = Arguments_;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    LinesPlaneFilter filter(phases.own_shared(), index, arguments);
    const int64_t pairs = arguments.geometry.tiling.plane.pairs;
    for (int64_t first = index * pairs; first < arguments.batch.pairs(); first += count * pairs) {
      // A loop rather than three calls: the code of a pass exists once.
      int pass = 0;
      do {
        if (!filter.run_pass(phases, first, static_cast<Pass>(pass)) && pass == 0) break;
      } while (++pass < 3);
    }
  }

 private:
  using Value = Complex<float>;

  FREQOPS_HOST_DEVICE LinesPlaneFilter(unsigned char* shared, unsigned block, const Arguments& arguments)
      : arguments_(arguments),
        pair_(reinterpret_cast<PlanePair*>(shared)),
        tile_(reinterpret_cast<Value*>(pair_ + arguments.geometry.tiling.plane.pairs)),
        kept_(arguments.work + int64_t{block} * arguments.geometry.tiling.plane.pairs * arguments.pixels()) {}

  // True if a pair has to be redone apart.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool run_pass(const Phases& phases, int64_t first_pair, Pass pass) {
    phases.run([&](int thread) {
      for (int p = thread; p < arguments_.geometry.tiling.plane.pairs; p += kThreads) {
        choose_pair(pair_[p], arguments_.batch, arguments_.strides(), first_pair + p, pass);
      }
    });
    phases.run([&](int thread) { load(thread); });
    transform_lines<-1>(phases, tile_, arguments_.geometry.rows);
    if (!arguments_.many) {
      filter_lines(phases, tile_, arguments_.geometry.columns,
                   RespondToPlanes{arguments_.gains(0), pair_, arguments_.geometry.width});
      transform_lines<1>(phases, tile_, arguments_.geometry.rows);
      return phases.run_any([&](int thread) { return store(thread, 0, pass); });
    }
    transform_lines<-1>(phases, tile_, arguments_.geometry.columns);
    bool redo = false;
    for (int r = 0; r < arguments_.responses; ++r) {
      phases.run([&](int thread) { respond(thread, r); });
      transform_lines<1>(phases, tile_, arguments_.geometry.columns);
      transform_lines<1>(phases, tile_, arguments_.geometry.rows);
      redo |= phases.run_any([&](int thread) { return store(thread, r, pass); });
    }
    return redo;
  }

  // Calls f(pair, pixel or position, its number among those of the block, its value).
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_value(int thread, F&& f) {
    arguments_.geometry.for_each_of_planes(
        thread, [&](int p, int pixel, int number, int place) { f(pair_[p], pixel, number, tile_[place]); });
  }

  FREQOPS_HOST_DEVICE void load(int thread) {
    arguments_.geometry.load_planes(thread, tile_, [&](int p, int pixel) {
      return pair_[p].active ? arguments_.load(pair_[p], pixel) : Value{0, 0};
    });
  }
  // The first response finds the spectrum in the tile and leaves it in the work memory, where the same
  // thread takes it for the others.
  FREQOPS_HOST_DEVICE void respond(int thread, int r) {
    const Gains gains = arguments_.gains(r);
    for_each_value(thread, [&](const PlanePair& pair, int position, int number, Value& value) {
      const Value spectrum = r == 0 ? value : kept_[number];
      if (r == 0) kept_[number] = spectrum;
      value = gains.apply(spectrum, pair.response + position);
    });
  }
  FREQOPS_HOST_DEVICE bool store(int thread, int r, Pass pass) {
    bool redo = false;
    for_each_value(thread, [&](PlanePair& pair, int pixel, int, const Value& value) {
      if (!pair.active) return;
      arguments_.store(pair, r, pixel, value);
      if (pixel == 0 && pass == Pass::kTogether && pair.first != pair.second && !is_finite(value)) {
        redo = pair.redo = true;
      }
    });
    return redo;
  }

  const Arguments& arguments_;
  PlanePair* pair_;
  Value* tile_;
  Value* kept_;
};

// The steps of larger planes. A step takes one group of rows or columns of one pair; `slot` is the
// pair's place in the chunk.
template <class Arguments>
class LinesSteps {
 public:
  using Value = Complex<float>;

  FREQOPS_HOST_DEVICE LinesSteps(const Arguments& arguments, unsigned char* shared)
      : arguments_(arguments), tile_(reinterpret_cast<Value*>(shared)) {}

  template <class Phases>
  FREQOPS_HOST_DEVICE void rows_forward(const Phases& phases, const PlanePair& pair, int64_t slot, int group) {
    phases.run([&](int thread) {
      arguments_.geometry.load_rows(thread, group, tile_, [&](int pixel) { return arguments_.load(pair, pixel); });
    });
    transform_lines<-1>(phases, tile_, arguments_.geometry.rows);
    Value* spectrum = spectrum_of(slot);
    phases.run([&](int thread) {
      for_each_of_rows(thread, group, [&](int position, const Value& value) { spectrum[position] = value; });
    });
  }

  template <class Phases>
  FREQOPS_HOST_DEVICE void columns(const Phases& phases, const PlanePair& pair, int64_t slot, int group) {
    Value* spectrum = spectrum_of(slot);
    phases.run([&](int thread) {
      arguments_.geometry.load_columns(thread, group, tile_, [&](int position) { return spectrum[position]; });
    });
    if (!arguments_.many) {
      const int first_column = group * arguments_.geometry.tiling.columns.lines;
      filter_lines(phases, tile_, arguments_.geometry.columns,
                   RespondToColumns{arguments_.gains(0), pair.response, arguments_.geometry.width, first_column});
      store_columns(phases, group, filtered_of(slot, 0));
      return;
    }
    transform_lines<-1>(phases, tile_, arguments_.geometry.columns);
    for (int r = 0; r < arguments_.responses; ++r) {
      phases.run([&](int thread) {
        const Gains gains = arguments_.gains(r);
        for_each_of_columns(thread, group, [&](int position, Value& value) {
          // The spectrum is kept where it came from.
          const Value kept = r == 0 ? value : spectrum[position];
          if (r == 0) spectrum[position] = kept;
          value = gains.apply(kept, pair.response + position);
        });
      });
      transform_lines<1>(phases, tile_, arguments_.geometry.columns);
      store_columns(phases, group, filtered_of(slot, r));
    }
  }

  // True to all threads if a value was not finite.
  template <class Phases>
  FREQOPS_HOST_DEVICE bool rows_inverse(const Phases& phases, const PlanePair& pair, int64_t slot, int group, int r) {
    const Value* filtered = filtered_of(slot, r);
    phases.run([&](int thread) {
      arguments_.geometry.load_rows(thread, group, tile_, [&](int position) { return filtered[position]; });
    });
    transform_lines<1>(phases, tile_, arguments_.geometry.rows);
    return phases.run_any([&](int thread) {
      bool finite = true;
      for_each_of_rows(thread, group, [&](int pixel, const Value& value) {
        arguments_.store(pair, r, pixel, value);
        finite = finite && is_finite(value);
      });
      return !finite;
    });
  }

 private:
  template <class Phases>
  FREQOPS_HOST_DEVICE void store_columns(const Phases& phases, int group, Value* filtered) {
    phases.run([&](int thread) {
      for_each_of_columns(thread, group, [&](int position, const Value& value) { filtered[position] = value; });
    });
  }
  FREQOPS_HOST_DEVICE Value* spectrum_of(int64_t slot) const {
    return arguments_.spectrum + slot * arguments_.pixels();
  }
  FREQOPS_HOST_DEVICE Value* filtered_of(int64_t slot, int r) const {
    return arguments_.filtered + (slot * arguments_.responses + r) * arguments_.pixels();
  }

  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_rows(int thread, int group, F&& f) {
    arguments_.geometry.for_each_of_rows(thread, group, [&](int pixel, int place) { f(pixel, tile_[place]); });
  }
  template <class F>
  FREQOPS_HOST_DEVICE void for_each_of_columns(int thread, int group, F&& f) {
    arguments_.geometry.for_each_of_columns(thread, group, [&](int position, int place) { f(position, tile_[place]); });
  }

  const Arguments& arguments_;
  Value* tile_;
};

// One launch each: `index` counts groups within pairs of the chunk (within responses, on the way
// back).
enum class LinesStep { kRowsForward, kColumns, kRowsInverse };

template <class Arguments_, LinesStep Step>
struct LinesFilterStep {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = Arguments_;

  static FREQOPS_HOST_DEVICE const LineTiling& tiling(const Arguments& arguments) {
    return Step == LinesStep::kColumns ? arguments.geometry.tiling.columns : arguments.geometry.tiling.rows;
  }

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    LinesSteps<Arguments> steps(arguments, phases.own_shared());
    int item = tiling(arguments).by_groups.quotient(static_cast<int>(index));
    const int group = static_cast<int>(index) - item * tiling(arguments).groups;
    int r = 0;
    if constexpr (Step == LinesStep::kRowsInverse) {
      const int slot = item / arguments.responses;
      r = item - slot * arguments.responses;
      item = slot;
    }
    const int64_t number = arguments.first_pair + item;
    const PlanePair pair = pair_at(arguments.batch, arguments.strides(), number);
    if constexpr (Step == LinesStep::kRowsForward) {
      steps.rows_forward(phases, pair, item, group);
    } else if constexpr (Step == LinesStep::kColumns) {
      steps.columns(phases, pair, item, group);
    } else {
      const bool redo = steps.rows_inverse(phases, pair, item, group, r) && pair.first != pair.second;
      phases.run([&](int thread) {
        // Many blocks may do so: they write the same.
        if (thread == 0 && redo) arguments.redo[number] = 1;
      });
    }
  }
};

// Goes through the flags and redoes both planes of a noted pair, all steps in one block.
template <class Arguments_>
struct LinesRedo {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = Arguments_;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned count,
                                      const Arguments& arguments) {
    for (int64_t number = index; number < arguments.batch.pairs(); number += count) {
      if (arguments.redo[number] == 0) continue;
      for (int pass = 1; pass < 3; ++pass) redo(phases, index, number, static_cast<Pass>(pass), arguments);
    }
  }

 private:
  template <class Phases>
  static FREQOPS_HOST_DEVICE void redo(const Phases& phases, unsigned slot, int64_t number, Pass pass,
                                       const Arguments& arguments) {
    LinesSteps<Arguments> steps(arguments, phases.own_shared());
    PlanePair pair = pair_at(arguments.batch, arguments.strides(), number);
    set_apart(pair, pass);
    // A block's barrier also orders its reads and writes of device memory.
    for (int group = 0; group < arguments.geometry.tiling.rows.groups; ++group)
      steps.rows_forward(phases, pair, slot, group);
    for (int group = 0; group < arguments.geometry.tiling.columns.groups; ++group)
      steps.columns(phases, pair, slot, group);
    for (int r = 0; r < arguments.responses; ++r) {
      for (int group = 0; group < arguments.geometry.tiling.rows.groups; ++group) {
        steps.rows_inverse(phases, pair, slot, group, r);
      }
    }
  }
};

// Chunks of pairs whose spectra fit the L2 cache of the devices in question together.
struct LinesChunks {
  int64_t pairs;           // of a chunk
  int64_t spectrum_bytes;  // of all its planes before and, if they are kept, after the responses
  int64_t flag_bytes;
};
inline LinesChunks lines_chunks(const FilterShape& shape, int64_t pairs) {
  constexpr int64_t kCacheBytes = 32 << 20;
  const int64_t planes = shape.many() ? 1 + shape.responses : 1;
  const int64_t bytes = planes * shape.pixels() * int64_t{sizeof(Complex<float>)};
  const int64_t chunk = std::clamp<int64_t>(kCacheBytes / bytes, 1, pairs);
  return {chunk, chunk * bytes, pairs * int64_t{sizeof(int)}};
}

inline int64_t pairs_of(const FilterShape& shape) {
  return PlaneBatch{shape.images, static_cast<uint32_t>(shape.channels)}.pairs();
}
template <class Launcher>
bool plan_filter_geometry(const Launcher& launcher, const FilterShape& shape, LinesGeometry& geometry) {
  return plan_geometry(shape.height, shape.width, pairs_of(shape), launcher.largest_shared_bytes(),
                       launcher.multiprocessors(), geometry);
}

// Blocks of the kernel for whole planes.
template <class Launcher>
int64_t lines_plane_blocks(const Launcher& launcher, const FilterShape& shape, const PlaneTiling& tiling) {
  const int64_t groups = (pairs_of(shape) + tiling.pairs - 1) / tiling.pairs;
  return shape.many() ? persistent_blocks<LinesPlaneFilter<LinesArguments>>(launcher, groups) : groups;
}

template <class Launcher>
int64_t lines_work_bytes(const Launcher& launcher, const FilterShape& shape) {
  LinesGeometry geometry;
  if (!plan_filter_geometry(launcher, shape, geometry)) return 0;
  if (!geometry.tiling.whole_planes) {
    const LinesChunks chunks = lines_chunks(shape, pairs_of(shape));
    return chunks.spectrum_bytes + chunks.flag_bytes;
  }
  if (!shape.many()) return 0;
  const PlaneTiling& plane = geometry.tiling.plane;
  return lines_plane_blocks(launcher, shape, plane) * plane.pairs * shape.pixels() * int64_t{sizeof(Complex<float>)};
}

template <class Launcher, class Arguments>
int run_lines_in_chunks(const Launcher& launcher, const FilterShape& shape, Arguments& arguments) {
  const int64_t pairs = arguments.batch.pairs();
  const LinesChunks chunks = lines_chunks(shape, pairs);
  const LineTiling& rows = arguments.geometry.tiling.rows;
  const LineTiling& columns = arguments.geometry.tiling.columns;
  if (chunks.pairs * rows.groups * shape.responses > INT_MAX || chunks.pairs * columns.groups > INT_MAX) {
    return kInvalid;
  }
  arguments.spectrum = arguments.work;
  arguments.filtered = shape.many() ? arguments.spectrum + chunks.pairs * shape.pixels() : arguments.spectrum;
  arguments.redo = reinterpret_cast<int*>(reinterpret_cast<unsigned char*>(arguments.work) + chunks.spectrum_bytes);
  if (const int error = launcher.fill_zero(arguments.redo, chunks.flag_bytes)) return error;
  for (arguments.first_pair = 0; arguments.first_pair < pairs; arguments.first_pair += chunks.pairs) {
    const int64_t here = std::min(chunks.pairs, pairs - arguments.first_pair);
    using Forward = LinesFilterStep<Arguments, LinesStep::kRowsForward>;
    using Columns = LinesFilterStep<Arguments, LinesStep::kColumns>;
    using Inverse = LinesFilterStep<Arguments, LinesStep::kRowsInverse>;
    if (const int error = launcher.template run<Forward>(here * rows.groups, rows.shared_bytes, arguments)) {
      return error;
    }
    if (const int error = launcher.template run<Columns>(here * columns.groups, columns.shared_bytes, arguments)) {
      return error;
    }
    if (const int error =
            launcher.template run<Inverse>(here * shape.responses * rows.groups, rows.shared_bytes, arguments)) {
      return error;
    }
  }
  return launcher.template run<LinesRedo<Arguments>>(chunks.pairs, std::max(rows.shared_bytes, columns.shared_bytes),
                                                     arguments);
}

// Once the arguments say where the images are.
template <class Launcher, class Arguments>
int run_lines(const Launcher& launcher, const FilterShape& shape, const float* table, void* work,
              Arguments& arguments) {
  LinesGeometry& geometry = arguments.geometry;
  if (pairs_of(shape) > INT_MAX || !plan_filter_geometry(launcher, shape, geometry)) return kInvalid;
  set_line_tables(geometry, reinterpret_cast<const Complex<float>*>(table) + lines_gains_size(shape));
  arguments.table = table;
  arguments.work = static_cast<Complex<float>*>(work);
  arguments.batch = {shape.images, static_cast<uint32_t>(shape.channels)};
  arguments.responses = shape.responses;
  arguments.complex_response = shape.complex_response;
  arguments.many = shape.many();
  if (!geometry.tiling.whole_planes) return run_lines_in_chunks(launcher, shape, arguments);
  const PlaneTiling& plane = geometry.tiling.plane;
  return launcher.template run<LinesPlaneFilter<Arguments>>(lines_plane_blocks(launcher, shape, plane),
                                                            plane.shared_bytes(), arguments);
}

template <class Launcher>
int run_lines_filter(const Launcher& launcher, const FilterProblem& problem) {
  if (problem.element == Element::kDouble) return kInvalid;
  LinesArguments arguments{};
  arguments.x = {const_cast<void*>(problem.x), problem.element};
  arguments.y = {problem.y, problem.element};
  arguments.high = {problem.shape.high ? problem.high : nullptr, problem.element};
  return run_lines(launcher, problem.shape, problem.table, problem.work, arguments);
}

}  // namespace freqops::cuda
