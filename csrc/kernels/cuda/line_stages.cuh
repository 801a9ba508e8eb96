// Transforms of many lines in shared memory, of any length that line_plan.h has a plan for.
#pragma once

#include "line_plan.h"
#include "phases.h"

#if defined(__CUDACC__)
// One copy of each butterfly, called by all kernels of a translation unit: inlined into each they
// would be many times the code, and the largest would set the registers of all.
#define FREQOPS_CALLED __host__ __device__ __noinline__
#else
#define FREQOPS_CALLED inline
#endif

namespace freqops::cuda {

inline constexpr int kLineThreads = 256;  // of every program that works on lines

// Where lines lie in shared memory: those of a plane side by side, planes one after the other.
// Neighbouring threads take neighbouring lines, so the stride between lines is odd or 1.
struct LineLayout {
  int lines = 0;  // of all planes
  int lines_per_plane = 1, plane_stride = 0, line_stride = 0, element_stride = 0;
  Division by_lines, by_lines_per_plane;

  FREQOPS_HOST_DEVICE int start(int line) const {
    const int plane = by_lines_per_plane.quotient(line);
    return plane * plane_stride + (line - plane * lines_per_plane) * line_stride;
  }
};
inline LineLayout line_layout(int planes, int lines_per_plane, int plane_stride, int line_stride, int element_stride) {
  const int lines = planes * lines_per_plane;
  return {lines,
          lines_per_plane,
          plane_stride,
          line_stride,
          element_stride,
          division_by(lines < 1 ? 1 : lines),
          division_by(lines_per_plane < 1 ? 1 : lines_per_plane)};
}

// Forward: butterfly, then twiddles. Inverse: its mirror, twiddles first.
template <int Radix, int Sign>
FREQOPS_CALLED void stage_of_lines(Complex<float>* data, const LineLayout& layout, const LineStage& stage,
                                   const Complex<float>* roots, int padded, int thread) {
  const int tasks = layout.lines * (padded / Radix), span = stage.span;
  const int stride = span * layout.element_stride;
  for (int task = thread; task < tasks; task += kLineThreads) {
    const int butterfly = layout.by_lines.quotient(task), line = task - butterfly * layout.lines;
    const int block = stage.by_span.quotient(butterfly), offset = butterfly - block * span;
    Complex<float>* base = data + layout.start(line) + (block * span * Radix + offset) * layout.element_stride;
    const int step = offset * stage.root_step;
    Complex<float> v[Radix];
    static_for<Radix>([&](auto j) FREQOPS_INLINED {
      const Complex<float> value = base[j * stride];
      v[j] = Sign > 0 && j > 0 && span > 1 ? multiply_conj(value, roots[j * step]) : value;
    });
    Dft<Radix, Sign>::run(v);
    static_for<Radix>([&](auto j) FREQOPS_INLINED {
      base[j * stride] = Sign < 0 && j > 0 && span > 1 ? multiply(v[j], roots[j * step]) : v[j];
    });
  }
}

// The last forward stage, what `respond` makes of the spectrum, and the first inverse stage, in
// registers. respond(value, plane, line of the plane, position).
template <int Radix, class Respond>
FREQOPS_CALLED void turn_of_lines(Complex<float>* data, const LineLayout& layout, int padded, const Respond& respond,
                                  int thread) {
  const int tasks = layout.lines * (padded / Radix), stride = layout.element_stride;
  for (int task = thread; task < tasks; task += kLineThreads) {
    const int butterfly = layout.by_lines.quotient(task), line = task - butterfly * layout.lines;
    const int plane = layout.by_lines_per_plane.quotient(line), line_of_plane = line - plane * layout.lines_per_plane;
    Complex<float>* base =
        data + plane * layout.plane_stride + line_of_plane * layout.line_stride + butterfly * Radix * stride;
    Complex<float> v[Radix];
    static_for<Radix>([&](auto j) FREQOPS_INLINED { v[j] = base[j * stride]; });
    Dft<Radix, -1>::run(v);
    static_for<Radix>([&](auto j)
                          FREQOPS_INLINED { v[j] = respond(v[j], plane, line_of_plane, butterfly * Radix + j); });
    Dft<Radix, 1>::run(v);
    static_for<Radix>([&](auto j) FREQOPS_INLINED { base[j * stride] = v[j]; });
  }
}

// Calls f(Index<radix>).
template <class F>
FREQOPS_HOST_DEVICE void with_radix(int radix, F&& f) {
  switch (radix) {
#define FREQOPS_RADIX(Radix) \
  case Radix:                \
    f(Index<Radix>{});       \
    break;
    FREQOPS_RADIX(2)
    FREQOPS_RADIX(3)
    FREQOPS_RADIX(4)
    FREQOPS_RADIX(5)
    FREQOPS_RADIX(6)
    FREQOPS_RADIX(7)
    FREQOPS_RADIX(8)
    FREQOPS_RADIX(9)
    FREQOPS_RADIX(10)
    FREQOPS_RADIX(11)
    FREQOPS_RADIX(12)
    FREQOPS_RADIX(13)
    FREQOPS_RADIX(14)
    FREQOPS_RADIX(15)
    FREQOPS_RADIX(16)
    FREQOPS_RADIX(17)
    FREQOPS_RADIX(19)
    FREQOPS_RADIX(23)
    FREQOPS_RADIX(29)
    FREQOPS_RADIX(31)
#undef FREQOPS_RADIX
    default:
      break;
  }
}

// One place to call each from: what is alive in a kernel around a call has to be saved there.
template <int Sign>
FREQOPS_CALLED void stage_of_lines(Complex<float>* data, const LineLayout& layout, const LineStage& stage,
                                   const Complex<float>* roots, int padded, int thread) {
  with_radix(stage.radix, [&](auto radix) {
    stage_of_lines<decltype(radix)::value, Sign>(data, layout, stage, roots, padded, thread);
  });
}
template <class Respond>
FREQOPS_CALLED void turn_of_lines(Complex<float>* data, const LineLayout& layout, int radix_of_stage, int padded,
                                  const Respond& respond, int thread) {
  with_radix(radix_of_stage,
             [&](auto radix) { turn_of_lines<decltype(radix)::value>(data, layout, padded, respond, thread); });
}

// All lines of one axis: what their transforms need.
struct LineAxis {
  LinePlan plan;
  LineTables tables;
  LineLayout layout;
};

// Calls f(line's place, element) for all elements below `count` of all lines.
template <class F>
FREQOPS_HOST_DEVICE void for_each_line_element(const LineLayout& layout, int count, int thread, F&& f) {
  for (int task = thread; task < layout.lines * count; task += kLineThreads) {
    const int element = layout.by_lines.quotient(task);
    f(layout.start(task - element * layout.lines) + element * layout.element_stride, element);
  }
}

// The first `count` stages, or their mirror images.
template <int Sign, class Phases>
FREQOPS_HOST_DEVICE void stages_of_lines(const Phases& phases, Complex<float>* data, const LineAxis& axis, int count) {
  for (int i = 0; i < count; ++i) {
    const LineStage& stage = axis.plan.stage[Sign < 0 ? i : count - 1 - i];
    phases.run([&](int thread) {
      stage_of_lines<Sign>(data, axis.layout, stage, axis.tables.roots, axis.plan.padded, thread);
    });
  }
}

// Bluestein: with c[k] = exp(-pi i k^2 / n) the transform is c times the convolution of x c with
// conj c. The inverse is the same with every constant conjugated, which includes the kernel because
// it is the transform of an even sequence.
template <int Sign, class Phases>
FREQOPS_HOST_DEVICE void chirp_transform(const Phases& phases, Complex<float>* data, const LineAxis& axis) {
  const LinePlan& plan = axis.plan;
  const LineTables& tables = axis.tables;
  const auto times = [](Complex<float> value, Complex<float> constant) {
    return Sign < 0 ? multiply(value, constant) : multiply_conj(value, constant);
  };
  phases.run([&](int thread) {
    for_each_line_element(axis.layout, plan.padded, thread, [&](int place, int k) {
      data[place] = k < plan.length ? times(data[place], tables.chirp[k]) : Complex<float>{0, 0};
    });
  });
  stages_of_lines<-1>(phases, data, axis, plan.stages);
  phases.run([&](int thread) {
    for_each_line_element(axis.layout, plan.padded, thread,
                          [&](int place, int k) { data[place] = times(data[place], tables.kernel[k]); });
  });
  stages_of_lines<1>(phases, data, axis, plan.stages);
  phases.run([&](int thread) {
    for_each_line_element(axis.layout, plan.length, thread,
                          [&](int place, int k) { data[place] = times(data[place], tables.chirp[k]); });
  });
}

// In place, unnormalised; forward from natural order to that of plan.order(), inverse back.
template <int Sign, class Phases>
FREQOPS_HOST_DEVICE void transform_lines(const Phases& phases, Complex<float>* data, const LineAxis& axis) {
  if (axis.plan.chirp) {
    chirp_transform<Sign>(phases, data, axis);
  } else {
    stages_of_lines<Sign>(phases, data, axis, axis.plan.stages);
  }
}

// Forward, respond, inverse: one phase where the spectrum can be met in registers, otherwise all of
// both transforms around one of its own.
template <class Phases, class Respond>
FREQOPS_HOST_DEVICE void filter_lines(const Phases& phases, Complex<float>* data, const LineAxis& axis,
                                      const Respond& respond) {
  const int last = axis.plan.stages - 1;
  if (axis.plan.chirp || last < 0) {
    transform_lines<-1>(phases, data, axis);
    phases.run([&](int thread) {
      const LineLayout& layout = axis.layout;
      for (int task = thread; task < layout.lines * axis.plan.length; task += kLineThreads) {
        const int position = layout.by_lines.quotient(task), line = task - position * layout.lines;
        const int plane = layout.by_lines_per_plane.quotient(line);
        Complex<float>& value = data[layout.start(line) + position * layout.element_stride];
        value = respond(value, plane, line - plane * layout.lines_per_plane, position);
      }
    });
    transform_lines<1>(phases, data, axis);
    return;
  }
  stages_of_lines<-1>(phases, data, axis, last);
  phases.run([&](int thread) {
    turn_of_lines(data, axis.layout, axis.plan.stage[last].radix, axis.plan.padded, respond, thread);
  });
  stages_of_lines<1>(phases, data, axis, last);
}

}  // namespace freqops::cuda
