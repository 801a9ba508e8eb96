// Fills the tables of a line (line_plan.h). Computed in double, rounded once.
#pragma once

#include "line_stages.cuh"

namespace freqops::cuda {

// exp(-2 pi i k / n), 0 <= k < n.
FREQOPS_HOST_DEVICE Complex<float> unit_root(long long k, long long n) {
#if defined(__CUDA_ARCH__)
  double sine, cosine;
  sincospi(2.0 * static_cast<double>(k) / static_cast<double>(n), &sine, &cosine);
  return {static_cast<float>(cosine), static_cast<float>(-sine)};
#else
  return {static_cast<float>(constant::cos_turn(k, n)), static_cast<float>(-constant::sin_turn(k, n))};
#endif
}
FREQOPS_HOST_DEVICE Complex<float> chirp(int k, int length) {
  return unit_root(static_cast<long long>(k) * k % (2 * length), 2LL * length);
}

// Roots and chirp.
struct LineRootsFill {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 4, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    int length, padded;
    bool chirp;
    Complex<float>* table;
    FREQOPS_HOST_DEVICE int entries() const { return padded + (chirp ? length : 0); }
  };
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned index, unsigned, const Arguments& arguments) {
    phases.run([&](int thread) {
      const int i = static_cast<int>(index) * kThreads + thread, k = i - arguments.padded;
      if (i >= arguments.entries()) return;
      arguments.table[i] = k < 0 ? unit_root(i, arguments.padded) : cuda::chirp(k, arguments.length);
    });
  }
};

// The chirp's convolution kernel, one block.
struct ChirpKernelFill {
  static constexpr int kThreads = kLineThreads, kBlocksPerSm = 1, kSharedBytes = 0, kClusterBlocks = 1;
  struct Arguments {
    LineAxis axis;  // of a single line
    Complex<float>* kernel;
  };
  template <class Phases>
  static FREQOPS_HOST_DEVICE void run(const Phases& phases, unsigned, unsigned, const Arguments& arguments) {
    auto* data = reinterpret_cast<Complex<float>*>(phases.own_shared());
    const int n = arguments.axis.plan.length, padded = arguments.axis.plan.padded;
    phases.run([&](int thread) {
      for (int i = thread; i < padded; i += kThreads) {
        const int k = i < n ? i : padded - i;  // even: as many steps back as forward
        const Complex<float> value = k < n ? cuda::chirp(k, n) : Complex<float>{0, 0};
        data[i] = {value.re, -value.im};
      }
    });
    stages_of_lines<-1>(phases, data, arguments.axis, arguments.axis.plan.stages);
    phases.run([&](int thread) {
      const auto scale = static_cast<float>(padded);
      for (int i = thread; i < padded; i += kThreads) arguments.kernel[i] = {data[i].re / scale, data[i].im / scale};
    });
  }
};

template <class Launcher>
int fill_line_tables(const Launcher& launcher, const LinePlan& plan, Complex<float>* table) {
  const LineRootsFill::Arguments roots{plan.length, plan.padded, plan.chirp, table};
  const int blocks = (roots.entries() + kLineThreads - 1) / kLineThreads;
  if (const int error = launcher.template run<LineRootsFill>(blocks, 0, roots)) return error;
  if (!plan.chirp) return 0;
  const LineAxis axis{plan, line_tables(plan, table), line_layout(1, 1, 0, 0, 1)};
  const int shared_bytes = plan.padded * static_cast<int>(sizeof(Complex<float>));
  return launcher.template run<ChirpKernelFill>(1, shared_bytes, {axis, table + plan.padded + plan.length});
}

// Those of a row, then those of a column.
template <class Launcher>
int fill_line_tables(const Launcher& launcher, const LinePlan& along_height, const LinePlan& along_width,
                     Complex<float>* tables) {
  if (const int error = fill_line_tables(launcher, along_width, tables)) return error;
  return fill_line_tables(launcher, along_height, tables + along_width.table_size());
}

}  // namespace freqops::cuda
