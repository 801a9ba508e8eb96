// The padded filter's kernels as an op. Safe to call with any argument.
#include "../../kernels/cuda/fft_filter_padded.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.h"
#include "planes.h"

namespace freqops::cuda {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

struct NamedForm {
  const char* name;
  PaddedForm form;
};
constexpr NamedForm kForms[] = {{"plane", PaddedForm::kPlane}, {"lines", PaddedForm::kLines}};

// Whether x and the output are planes that the grid holds.
bool is_padding(const std::vector<int64_t>& image, const std::vector<int64_t>& grid, const std::vector<int64_t>& size) {
  if (image.size() != 2 || grid.size() != 2 || size.size() != 2) return false;
  return is_plane(image[0], image[1]) && is_plane(grid[0], grid[1]) && is_plane(size[0], size[1]) &&
         std::max(image[0], size[0]) <= grid[0] && std::max(image[1], size[1]) <= grid[1];
}

FilterPadded problem_of(const std::vector<int64_t>& image, const std::vector<int64_t>& grid,
                        const std::vector<int64_t>& size) {
  FilterPadded problem{};
  problem.images = problem.channels = 1;
  problem.height = static_cast<int>(image[0]);
  problem.width = static_cast<int>(image[1]);
  problem.out_height = static_cast<int>(size[0]);
  problem.out_width = static_cast<int>(size[1]);
  problem.grid_height = static_cast<int>(grid[0]);
  problem.grid_width = static_cast<int>(grid[1]);
  return problem;
}

std::string fft_filter_padded_form(std::vector<int64_t> image, std::vector<int64_t> grid, std::vector<int64_t> size) {
  if (!is_padding(image, grid, size)) return "none";
  const PaddedForm form = choose_padded_form(problem_of(image, grid, size));
  for (const NamedForm& entry : kForms) {
    if (form == entry.form) return entry.name;
  }
  return "none";
}

bool fft_filter_padded_takes(std::vector<int64_t> image, std::vector<int64_t> grid, std::vector<int64_t> size) {
  return fft_filter_padded_form(image, grid, size) != "none";
}

// The sides of the smallest grid for the form `plane` that is no smaller than `least`; empty if there is none.
std::vector<int64_t> fft_filter_padded_grid(std::vector<int64_t> image, std::vector<int64_t> least,
                                            std::vector<int64_t> size) {
  if (!is_padding(image, least, size)) return {};
  const int side = choose_padded_grid(problem_of(image, least, size));
  return side == 0 ? std::vector<int64_t>{} : std::vector<int64_t>{side, side};
}

PaddedForm chosen_form(const char* op, const FilterPadded& problem, const std::string& name) {
  if (name.empty()) return choose_padded_form(problem);
  for (const NamedForm& entry : kForms) {
    if (name == entry.name) return entry.form;
  }
  STD_TORCH_CHECK(false, op, ": form must be plane or lines, got ", name);
}

void check_response(const char* op, const char* argument, const Tensor& response, const Tensor& x) {
  STD_TORCH_CHECK(on_device(response) && response.get_device_index() == x.get_device_index() &&
                      response.scalar_type() == ScalarType::Float && response.is_contiguous(),
                  op, ": ", argument, " must be contiguous, float32 and on the device of x");
}

// How many channels the response tells apart; 1 if it has no axis for them.
int64_t checked_channels(const char* op, const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag,
                         const std::vector<int64_t>& grid) {
  check_response(op, "response", response, x);
  const int64_t axes = response.dim();
  STD_TORCH_CHECK(axes == 2 || axes == 3, op, ": response must have 2 or 3 dimensions, got ", axes);
  STD_TORCH_CHECK(response.size(axes - 2) == grid[0] && response.size(axes - 1) == grid[1] / 2 + 1, op,
                  ": response must be ", grid[0], " x ", grid[1] / 2 + 1, " for this grid, got ",
                  response.size(axes - 2), " x ", response.size(axes - 1));
  STD_TORCH_CHECK(axes == 2 || (x.dim() >= 3 && x.size(x.dim() - 3) == response.size(0)), op,
                  ": response must have the channels of x [..., C, H, W]");
  if (imag) {
    check_response(op, "imag", *imag, x);
    STD_TORCH_CHECK(same_sizes(response, *imag), op, ": imag must have the shape of response");
  }
  return axes == 2 ? 1 : response.size(0);
}

// The form is "plane", "lines", or empty for the better of those that take the sizes.
Tensor fft_filter_padded_planes(const Tensor& x, const Tensor& response, const std::optional<Tensor>& imag,
                                std::vector<int64_t> grid, std::vector<int64_t> size, const std::string& form_name) {
  const char* op = "fft_filter_padded_planes";
  check_planes(op, "x", x);
  const std::vector<int64_t> image{x.size(x.dim() - 2), x.size(x.dim() - 1)};
  STD_TORCH_CHECK(grid.size() == 2 && size.size() == 2, op, ": grid and size must hold 2 numbers");
  check_plane(op, "the grid", grid[0], grid[1]);
  check_plane(op, "the output", size[0], size[1]);
  STD_TORCH_CHECK(is_padding(image, grid, size), op, ": grid must hold x and the output, got ", grid[0], " x ",
                  grid[1]);
  const Element element = element_of(op, x);
  const int64_t channels = checked_channels(op, x, response, imag, grid);

  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < x.dim() - 2; ++i) sizes.push_back(x.size(i));
  sizes.insert(sizes.end(), size.begin(), size.end());
  const Tensor y = new_memory(x, sizes, x.scalar_type());
  if (x.numel() == 0) return y;

  FilterPadded problem = problem_of(image, grid, size);
  problem.element = element;
  problem.x = x.const_data_ptr();
  problem.y = y.mutable_data_ptr();
  problem.real = response.const_data_ptr<float>();
  problem.imag = imag ? imag->const_data_ptr<float>() : nullptr;
  problem.channels = channels;
  problem.images = x.numel() / (image[0] * image[1]) / channels;
  launch(op, x, [&](void* stream) {
    const PaddedForm form = chosen_form(op, problem, form_name);
    const Tensor work = new_work(x, fft_filter_padded_work_bytes(form, problem));
    problem.work = work.mutable_data_ptr();
    const int error = fft_filter_padded(form, problem, stream);
    STD_TORCH_CHECK(!is_refusal(error), op, ": a grid of ", grid[0], " x ", grid[1], " does not fit this device");
    return error;
  });
  return y;
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("fft_filter_padded_form(int[] image, int[] grid, int[] size) -> str");
  m.def("fft_filter_padded_grid(int[] image, int[] least, int[] size) -> int[]");
  m.def("fft_filter_padded_takes(int[] image, int[] grid, int[] size) -> bool");
  m.def(
      "fft_filter_padded_planes(Tensor x, Tensor response, Tensor? imag, SymInt[] grid, SymInt[] size, str form='') -> "
      "Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("fft_filter_padded_planes", TORCH_BOX(&freqops::cuda::fft_filter_padded_planes));
}

// Without a tensor argument there is no device to dispatch on: they are asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("fft_filter_padded_form", TORCH_BOX(&freqops::cuda::fft_filter_padded_form));
  m.impl("fft_filter_padded_grid", TORCH_BOX(&freqops::cuda::fft_filter_padded_grid));
  m.impl("fft_filter_padded_takes", TORCH_BOX(&freqops::cuda::fft_filter_padded_takes));
}
