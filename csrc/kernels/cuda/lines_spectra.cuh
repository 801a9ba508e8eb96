// The kernels behind lines_spectra.h.
#pragma once

#include "lines_spectra.h"

namespace freqops::cuda {

// Whole planes in shared memory. Sign < 0: images to spectra; > 0: back, unnormalised.
template <int Sign>
struct TransformPlanes {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = SpectraArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    auto* tile = reinterpret_cast<Complex<float>*>(phases.own_shared());
    const LinesGeometry& geometry = arguments.geometry;
    const int64_t first = int64_t{index} * geometry.tiling.plane.pairs;
    phases.run([&](int thread) {
      geometry.load_planes(thread, tile, [&](int p, int pixel) {
        if (first + p >= arguments.count) return Complex<float>{0, 0};
        return Sign < 0 ? arguments.load(arguments.planes(first + p), pixel) : arguments.spectrum(first + p)[pixel];
      });
    });
    transform_lines<Sign>(phases, tile, Sign < 0 ? geometry.rows : geometry.columns);
    transform_lines<Sign>(phases, tile, Sign < 0 ? geometry.columns : geometry.rows);
    phases.run([&](int thread) {
      geometry.for_each_of_planes(thread, [&](int p, int pixel, int, int place) {
        if (first + p >= arguments.count) return;
        if constexpr (Sign < 0) {
          arguments.spectrum(first + p)[pixel] = tile[place];
        } else {
          arguments.store(arguments.planes(first + p), pixel, tile[place]);
        }
      });
    });
  }
};

// Rows between images and spectra.
template <int Sign>
struct TransformRows {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = SpectraArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    auto* tile = reinterpret_cast<Complex<float>*>(phases.own_shared());
    const LinesGeometry& geometry = arguments.geometry;
    const int slot = geometry.tiling.rows.by_groups.quotient(static_cast<int>(index));
    const int group = static_cast<int>(index) - slot * geometry.tiling.rows.groups;
    Complex<float>* spectrum = arguments.spectrum(slot);
    const auto planes = arguments.planes(slot);
    phases.run([&](int thread) {
      geometry.load_rows(thread, group, tile,
                         [&](int pixel) { return Sign < 0 ? arguments.load(planes, pixel) : spectrum[pixel]; });
    });
    transform_lines<Sign>(phases, tile, geometry.rows);
    phases.run([&](int thread) {
      geometry.for_each_of_rows(thread, group, [&](int pixel, int place) {
        if constexpr (Sign < 0) {
          spectrum[pixel] = tile[place];
        } else {
          arguments.store(planes, pixel, tile[place]);
        }
      });
    });
  }
};

// Columns of spectra, in place.
template <int Sign>
struct TransformColumns {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 2, kSharedBytes = 0, kClusterBlocks = 1;
  using Arguments = SpectraArguments;

  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    auto* tile = reinterpret_cast<Complex<float>*>(phases.own_shared());
    const LinesGeometry& geometry = arguments.geometry;
    const int slot = geometry.tiling.columns.by_groups.quotient(static_cast<int>(index));
    const int group = static_cast<int>(index) - slot * geometry.tiling.columns.groups;
    Complex<float>* spectrum = arguments.spectrum(slot);
    phases.run([&](int thread) {
      geometry.load_columns(thread, group, tile, [&](int position) { return spectrum[position]; });
    });
    transform_lines<Sign>(phases, tile, geometry.columns);
    phases.run([&](int thread) {
      geometry.for_each_of_columns(thread, group, [&](int position, int place) { spectrum[position] = tile[place]; });
    });
  }
};

template <int Sign, class Launcher>
int transform_slots(const Launcher& launcher, const SpectraArguments& arguments) {
  const LinesTiling& tiling = arguments.geometry.tiling;
  if (tiling.whole_planes) {
    const int64_t blocks = (arguments.count + tiling.plane.pairs - 1) / tiling.plane.pairs;
    return launcher.template run<TransformPlanes<Sign>>(blocks, tiling.plane.shared_bytes(), arguments);
  }
  const auto rows = [&] {
    return launcher.template run<TransformRows<Sign>>(arguments.count * tiling.rows.groups, tiling.rows.shared_bytes,
                                                      arguments);
  };
  const auto columns = [&] {
    return launcher.template run<TransformColumns<Sign>>(arguments.count * tiling.columns.groups,
                                                         tiling.columns.shared_bytes, arguments);
  };
  const int error = Sign < 0 ? rows() : columns();
  if (error != 0) return error;
  return Sign < 0 ? columns() : rows();
}

}  // namespace freqops::cuda
