// Every operator of freqops, in torch's schema language. No complex tensor appears: a response is a real tensor and,
// where it is complex, a second one with its imaginary part. `dims` is the number of trailing axes transformed, 1 or 2.
#include <torch/csrc/stable/library.h>

#include "pool_ops.h"

STABLE_TORCH_LIBRARY(freqops, m) {
  m.def("fft_filter(Tensor x, Tensor response, Tensor? imag, int dims) -> Tensor");
  m.def("fft_filter.out(Tensor x, Tensor response, Tensor? imag, int dims, *, Tensor(a!) out) -> Tensor(a!)");
  m.def("fft_filter_padded(Tensor x, Tensor response, Tensor? imag, SymInt[] grid, SymInt[] size) -> Tensor");
  // CPU only. `key`: 0, or a number that stands for these contents of response and imag and for no others, ever.
  m.def(
      "fft_filter_padded.kept(Tensor x, Tensor response, Tensor? imag, SymInt[] grid, SymInt[] size, *, int key) -> "
      "Tensor");
  m.def("filter_bank(Tensor x, Tensor responses, Tensor? imag, int dims) -> Tensor");
  m.def("filter_bank_adjoint(Tensor y, Tensor responses, Tensor? imag, int dims) -> Tensor");
  m.def("low_high(Tensor x, Tensor responses, int dims) -> (Tensor, Tensor)");
  m.def(
      "low_high.out(Tensor x, Tensor responses, int dims, *, Tensor(a!) low, Tensor(b!) high) -> "
      "(Tensor(a!), Tensor(b!))");
  m.def("split_bands(Tensor x, Tensor responses, int dims) -> Tensor");
  m.def("spectral_correlation(Tensor x, Tensor y, int channels, int dims) -> (Tensor, Tensor)");
  m.def("mix_amplitude_phase(Tensor amplitude, Tensor phase, bool over_channels) -> Tensor");
  m.def("separable(Tensor x, Tensor? rows, Tensor? columns, Tensor? outer, bool mirrored) -> Tensor");
  m.def("resize_spectrum(Tensor x, Tensor row_gains, Tensor column_gains, SymInt[] size, bool two_corner) -> Tensor");
  m.def("polyphase_norms(Tensor x, str norm) -> Tensor");
  m.def("polyphase_pool(Tensor x, Tensor index, bool circular) -> Tensor");
  m.def("polyphase_unpool(Tensor y, Tensor index, SymInt[] size, bool circular) -> Tensor");

  freqops::define_pool_ops(m);
}
