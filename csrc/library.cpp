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
  module.def("cpu_level_problem", &freqops::cpu::level_problem,
             "Why FREQOPS_CPU could not be followed; None where it was.");
}
