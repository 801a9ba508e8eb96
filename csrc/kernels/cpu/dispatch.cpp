#include "dispatch.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "../filter_plan.h"

namespace freqops::cpu {

#define FREQOPS_DECLARE_LEVEL(level) \
  namespace level_##level {          \
    template <class T>               \
    void fill_kernels(Kernels<T>&);  \
  }
FREQOPS_DECLARE_LEVEL(default)
#ifdef FREQOPS_HAVE_AVX2
FREQOPS_DECLARE_LEVEL(avx2)
#endif
#ifdef FREQOPS_HAVE_AVX512
FREQOPS_DECLARE_LEVEL(avx512)
#endif

namespace {

struct Level {
  const char* name;
  bool (*supported)();
  void (*fill_float)(Kernels<float>&);
  void (*fill_double)(Kernels<double>&);
};

// Worst first; the x86-64 levels are the psABI's v3 and v4, which the level's files are compiled for.
const Level kLevels[] = {
    {"default", [] { return true; }, level_default::fill_kernels<float>, level_default::fill_kernels<double>},
#ifdef FREQOPS_HAVE_AVX2
    {"avx2",
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); },
     level_avx2::fill_kernels<float>, level_avx2::fill_kernels<double>},
#endif
#ifdef FREQOPS_HAVE_AVX512
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
     },
     level_avx512::fill_kernels<float>, level_avx512::fill_kernels<double>},
#endif
};

struct Selection {
  const Level* level = nullptr;
  std::string problem;
  Kernels<float> kernels_float{};
  Kernels<double> kernels_double{};

  Selection() {
    for (const Level& candidate : kLevels) {
      if (candidate.supported()) level = &candidate;
    }
    if (const char* wanted = std::getenv("FREQOPS_CPU"); wanted && *wanted) choose(wanted);
    level->fill_float(kernels_float);
    level->fill_double(kernels_double);
  }

  void choose(const char* wanted) {
    for (const Level& candidate : kLevels) {
      if (std::strcmp(candidate.name, wanted) != 0) continue;
      if (candidate.supported()) {
        level = &candidate;
      } else {
        problem = std::string("FREQOPS_CPU=") + wanted + " asks for instructions this machine does not have";
      }
      return;
    }
    problem = std::string("FREQOPS_CPU must be one of");
    for (const Level& candidate : kLevels) problem += std::string(" ") + candidate.name;
    problem += std::string(", got ") + wanted;
  }
};

const Selection& selection() {
  static const Selection chosen;
  return chosen;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  return selection().kernels_float;
}
template <>
const Kernels<double>& kernels<double>() {
  return selection().kernels_double;
}

const char* selected_level() { return selection().level->name; }

std::vector<const char*> compiled_levels() {
  std::vector<const char*> names;
  for (const Level& level : kLevels) names.push_back(level.name);
  return names;
}

const char* level_problem() { return selection().problem.empty() ? nullptr : selection().problem.c_str(); }

namespace {

template <class T>
std::string describe(int64_t height, int64_t width, int64_t planes) {
  const int lanes = kernels<T>().lanes;
  return FilterPlan<T>(choose_filter_form(height, width, planes, lanes), lanes).describe();
}

}  // namespace

std::string describe_filter(int64_t height, int64_t width, int64_t planes, bool is_double) {
  return is_double ? describe<double>(height, width, planes) : describe<float>(height, width, planes);
}

}  // namespace freqops::cpu
