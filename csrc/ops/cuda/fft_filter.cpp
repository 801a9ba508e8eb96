// The FFT filter's kernels as ops: a response becomes a table once, and planes are filtered by it as
// often as wanted. Which form of the kernel takes a size is asked apart, so that whoever calls can
// keep the answer. Everything here must be safe to call with any argument; what is wrong with one is
// said in a sentence.
#include "../../kernels/cuda/fft_filter.h"

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

constexpr int64_t kMostResponses = int64_t{1} << 20;
// More than any memory holds, and far from where a product of sizes would overflow.
constexpr int64_t kMostElements = int64_t{1} << 48;

struct NamedForm {
  const char* name;
  Form form;
};
constexpr NamedForm kForms[] = {{"plane", Form::kPlane}, {"even_odd", Form::kEvenOdd}, {"lines", Form::kLines}};

Form form_named(const char* op, const std::string& name) {
  for (const NamedForm& entry : kForms) {
    if (name == entry.name) return entry.form;
  }
  STD_TORCH_CHECK(false, op, ": form must be plane, even_odd or lines, got ", name);
}

void check_float_table(const char* op, const char* argument, const Tensor& tensor) {
  STD_TORCH_CHECK(on_device(tensor) && tensor.scalar_type() == ScalarType::Float && tensor.is_contiguous(), op, ": ",
                  argument, " must be a contiguous float32 ", kDevice, " tensor");
}

// Launches, and puts it into words where the form does not take the size or the device not the form.
template <class Start>
void launch_form(const char* op, const Tensor& tensor, const std::string& form_name, Form form,
                 const FilterShape& shape, Start&& start) {
  launch(op, tensor, [&](void* stream) {
    const int error = start(stream);
    STD_TORCH_CHECK(!is_refusal(error) || form_takes(form, shape.height, shape.width), op, ": the form ", form_name,
                    " does not take planes of ", shape.height, " x ", shape.width, " on this device");
    return error;
  });
}

std::string fft_filter_form(int64_t height, int64_t width) {
  const Form form =
      is_plane(height, width) ? choose_form(static_cast<int>(height), static_cast<int>(width)) : Form::kNone;
  for (const NamedForm& entry : kForms) {
    if (form == entry.form) return entry.name;
  }
  return "none";
}

bool fft_filter_form_takes(const std::string& form_name, int64_t height, int64_t width) {
  const Form form = form_named("fft_filter_form_takes", form_name);
  return is_plane(height, width) && form_takes(form, static_cast<int>(height), static_cast<int>(width));
}

Tensor fft_filter_table(const Tensor& response, const std::optional<Tensor>& imag, const std::string& form_name,
                        int64_t width) {
  const char* op = "fft_filter_table";
  const Form form = form_named(op, form_name);
  check_float_table(op, "response", response);
  STD_TORCH_CHECK(response.dim() >= 2, op, ": response must have at least 2 dimensions, got ", response.dim());
  const int64_t height = response.size(response.dim() - 2), half = response.size(response.dim() - 1);
  check_plane(op, "response", height, width);
  STD_TORCH_CHECK(half == width / 2 + 1, op, ": response must have ", width / 2 + 1, " columns for a width of ", width,
                  ", got ", half);
  STD_TORCH_CHECK(response.numel() > 0, op, ": response must not be empty");
  if (imag) {
    check_float_table(op, "imag", *imag);
    STD_TORCH_CHECK(same_sizes(response, *imag), op, ": imag must have the shape and the device of response");
  }
  const FilterShape shape{.images = 1,
                          .channels = response.numel() / (height * half),
                          .height = static_cast<int>(height),
                          .width = static_cast<int>(width),
                          .responses = 1,
                          .complex_response = imag.has_value(),
                          .high = false};
  const Tensor table = new_memory(response, {response_table_size(form, shape)}, ScalarType::Float);
  launch_form(op, response, form_name, form, shape, [&](void* stream) {
    return fill_response_table(form, shape, response.const_data_ptr<float>(),
                               imag ? imag->const_data_ptr<float>() : nullptr, table.mutable_data_ptr<float>(), stream);
  });
  return table;
}

FilterShape checked_shape(const char* op, const Tensor& x, int64_t responses, int64_t channels, bool complex_response,
                          bool high) {
  check_planes(op, "x", x);
  const int64_t height = x.size(x.dim() - 2), width = x.size(x.dim() - 1);
  STD_TORCH_CHECK(responses >= 1 && responses <= kMostResponses, op, ": responses must be 1 to ", kMostResponses,
                  ", got ", responses);
  STD_TORCH_CHECK(channels == 0 || (x.dim() >= 3 && x.size(x.dim() - 3) == channels), op,
                  ": channels must be 0 or those of x [..., C, H, W], got ", channels);
  const int64_t planes = x.numel() / (height * width);
  STD_TORCH_CHECK(channels <= kMostPlanes, op, ": channels must be at most ", kMostPlanes, ", got ", channels);
  const int64_t counted = responses * height * width;  // below 2^46
  STD_TORCH_CHECK(channels <= kMostElements / counted && planes <= kMostElements / counted, op, ": at most ",
                  kMostElements, " elements can be asked for");
  return {.images = channels == 0 ? planes : planes / channels,
          .channels = channels == 0 ? 1 : channels,
          .height = static_cast<int>(height),
          .width = static_cast<int>(width),
          .responses = static_cast<int>(responses),
          .complex_response = complex_response,
          .high = high};
}

void check_table(const char* op, const Tensor& table, const Tensor& x, Form form, const FilterShape& shape) {
  check_float_table(op, "table", table);
  STD_TORCH_CHECK(table.get_device_index() == x.get_device_index(), op, ": table must be on the device of x");
  const int64_t size = response_table_size(form, shape);
  STD_TORCH_CHECK(table.dim() == 1 && table.numel() == size && is_aligned(table.const_data_ptr()), op,
                  ": table must be what fft_filter_table makes of these responses, ", size, " numbers, got ",
                  table.numel());
}

std::vector<Tensor> fft_filter_planes(const Tensor& x, const Tensor& table, const std::string& form_name,
                                      int64_t responses, int64_t channels, bool complex_response, bool high) {
  const char* op = "fft_filter_planes";
  const Form form = form_named(op, form_name);
  const Element element = element_of(op, x);
  const FilterShape shape = checked_shape(op, x, responses, channels, complex_response, high);
  check_table(op, table, x, form, shape);

  std::vector<int64_t> sizes{responses};
  for (int64_t i = 0; i < x.dim(); ++i) sizes.push_back(x.size(i));
  std::vector<Tensor> results;
  for (int i = 0; i < (high ? 2 : 1); ++i) results.push_back(new_memory(x, sizes, x.scalar_type()));
  if (x.numel() == 0) return results;

  // A view may start between the vectors that kernels load.
  const Tensor source = is_aligned(x.const_data_ptr()) ? x : torch::stable::clone(x);
  launch_form(op, x, form_name, form, shape, [&](void* stream) {
    const Tensor work = new_work(x, filter_work_bytes(form, shape));
    return fft_filter(form,
                      {.shape = shape,
                       .element = element,
                       .x = source.const_data_ptr(),
                       .y = results[0].mutable_data_ptr(),
                       .high = high ? results[1].mutable_data_ptr() : nullptr,
                       .table = table.const_data_ptr<float>(),
                       .work = work.mutable_data_ptr()},
                      stream);
  });
  return results;
}

}  // namespace
}  // namespace freqops::cuda

STABLE_TORCH_LIBRARY_FRAGMENT(FREQOPS_NAMESPACE, m) {
  m.def("fft_filter_form(int height, int width) -> str");
  m.def("fft_filter_form_takes(str form, int height, int width) -> bool");
  m.def("fft_filter_table(Tensor response, Tensor? imag, str form, int width) -> Tensor");
  m.def(
      "fft_filter_planes(Tensor x, Tensor table, str form, int responses, int channels, bool complex_response, "
      "bool high) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, FREQOPS_DISPATCH_KEY, m) {
  m.impl("fft_filter_table", TORCH_BOX(&freqops::cuda::fft_filter_table));
  m.impl("fft_filter_planes", TORCH_BOX(&freqops::cuda::fft_filter_planes));
}

// Without a tensor argument there is no device to dispatch on: they are asked about the current one.
STABLE_TORCH_LIBRARY_IMPL(FREQOPS_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("fft_filter_form", TORCH_BOX(&freqops::cuda::fft_filter_form));
  m.impl("fft_filter_form_takes", TORCH_BOX(&freqops::cuda::fft_filter_form_takes));
}
