// freqops._C: what was built and which level runs. No tensors pass here; the ops are torch.ops.freqops.
#include <sstream>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "kernels/cpu/dispatch.h"

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  module.doc() = "Build information and CPU capability of freqops.";
  module.attr("__version__") = FREQOPS_VERSION;
  module.attr("cuda_built") = static_cast<bool>(FREQOPS_CUDA_BUILT);
  module.attr("cuda_archs") = pybind11::tuple(pybind11::cast(split(FREQOPS_CUDA_ARCHS)));
  module.attr("compiler") = FREQOPS_COMPILER;
  module.attr("torch_version") = FREQOPS_TORCH_VERSION;
  module.def(
      "cpu_levels",
      [] {
        std::vector<std::string> levels;
        for (const char* level : freqops::cpu::compiled_levels()) levels.emplace_back(level);
        return levels;
      },
      "Instruction-set levels compiled into the CPU library.");
  module.def("cpu_level", &freqops::cpu::selected_level, "The level whose kernels run.");
  module.def(
      "fft_filter_plan",
      [](int64_t height, int64_t width, const std::string& dtype, int64_t planes) {
        if (height < 1 || width < 1 || planes < 1 || height > (int64_t{1} << 26) / width) {
          throw pybind11::value_error("fft_filter_plan: a plane must have 1 to 2^26 elements");
        }
        return freqops::cpu::describe_filter(height, width, planes, dtype == "float64");
      },
      pybind11::arg("height"), pybind11::arg("width"), pybind11::arg("dtype") = "float32", pybind11::arg("planes") = 2,
      "The form and the axis plans of the CPU filter for planes of this size, in words.");
  module.def("cpu_level_problem", &freqops::cpu::level_problem,
             "Why FREQOPS_CPU could not be followed; None where it was.");
}
