#include "plan_builder.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "complex.h"

namespace freqops {
namespace {

// The codelets of lane_fft.h with their relative cost per element. Fitted to timings of whole filters with different
// factorisations (96, 112, 128, 224, 256, 512 on AVX-512): up to 8 a butterfly stays in registers and costs its
// arithmetic, larger ones spill. A stage costs kStageCost more for its loads, stores and twiddles.
struct Codelet {
  int radix;
  double cost;
};
constexpr double kStageCost = 5;
constexpr Codelet kCommon[] = {{2, 2},   {3, 5},  {4, 4},   {5, 7},   {7, 9},
                               {8, 6.5}, {9, 12}, {11, 18}, {13, 21}, {16, 13.2}};
constexpr Codelet kFloatOnly[] = {{6, 7.3}, {10, 11}, {12, 14}, {14, 16}, {15, 16}, {23, 38}};

// Above this length a generic stage is cheaper as Bluestein's convolution than as a direct transform.
constexpr int kLongestDirect = 100;

// Last radices in order of preference: outputs of these can be dropped for a low-pass (FREQOPS_KEEPS).
constexpr int kPreferredLast[] = {8, 16, 7, 23, 14, 13, 4};

template <class T>
const std::vector<Codelet>& codelets() {
  static const std::vector<Codelet> all = [] {
    std::vector<Codelet> list(std::begin(kCommon), std::end(kCommon));
    if (sizeof(T) == sizeof(float)) list.insert(list.end(), std::begin(kFloatOnly), std::end(kFloatOnly));
    return list;
  }();
  return all;
}

// The largest factor of n without a codelet, 1 where there is none.
template <class T>
int generic_factor(int n) {
  for (const Codelet& codelet : codelets<T>()) {
    while (codelet.radix > 1 && n % codelet.radix == 0) n /= codelet.radix;
  }
  return n;
}

struct Factorisation {
  double cost = std::numeric_limits<double>::infinity();
  std::vector<int> radices;
};

template <class T>
const Factorisation& cheapest(int n, std::map<int, Factorisation>& known) {
  if (const auto found = known.find(n); found != known.end()) return found->second;
  Factorisation best;
  if (n == 1) best.cost = 0;
  for (const Codelet& codelet : codelets<T>()) {
    if (n % codelet.radix != 0) continue;
    const Factorisation& rest = cheapest<T>(n / codelet.radix, known);
    const double cost = rest.cost + codelet.cost + kStageCost;
    if (cost < best.cost) {
      best = {cost, rest.radices};
      best.radices.push_back(codelet.radix);
    }
  }
  return known[n] = best;
}

template <class T>
std::vector<int> smooth_radices(int n) {
  std::map<int, Factorisation> known;
  std::vector<int> radices = cheapest<T>(n, known).radices;
  std::sort(radices.rbegin(), radices.rend());
  for (const int wanted : kPreferredLast) {
    const auto found = std::find(radices.begin(), radices.end(), wanted);
    if (found == radices.end()) continue;
    radices.erase(found);
    radices.push_back(wanted);
    break;
  }
  return radices;
}

// The forward transform of plan.h in double, stage by stage: element order in, position order out.
template <class T>
void transform_by_position(const AxisPlan<T>& plan, std::vector<Complex<double>>& x) {
  const int n = plan.length;
  std::vector<Complex<double>> roots(n), block;
  for (int k = 0; k < n; ++k) roots[k] = {constant::cos_turn(k, n), -constant::sin_turn(k, n)};
  for (int s = 0, length = n; s < plan.stages; ++s) {
    const int radix = plan.radix[s], span = plan.span[s], stride = n / length;
    for (int start = 0; start < n; start += length) {
      for (int j = start; j < start + span; ++j) {
        block.assign(radix, {0, 0});
        for (int k = 0; k < radix; ++k) {
          for (int q = 0; q < radix; ++q) {
            const long long turn = static_cast<long long>(k) * (q * span + j - start) % length;
            block[k] = block[k] + multiply(x[j + q * span], roots[turn * stride]);
          }
        }
        for (int k = 0; k < radix; ++k) x[j + k * span] = block[k];
      }
    }
    length = span;
  }
}

template <class T>
int next_smooth(int n) {
  while (generic_factor<T>(n) != 1 || n % 4 != 0) ++n;
  return n;
}

}  // namespace

template <class T>
PlannedAxis<T>::PlannedAxis(int length) {
  choose_radices(length);
  build_twiddles();
  build_frequencies();
}

template <class T>
void PlannedAxis<T>::choose_radices(int length) {
  const int generic = generic_factor<T>(length);
  std::vector<int> radices = smooth_radices<T>(length / generic);
  plan_.generic.length = generic;
  if (generic > 1) radices.push_back(generic);
  if (radices.empty()) radices.push_back(1);
  plan_.length = length;
  plan_.stages = static_cast<int>(radices.size());
  std::copy(radices.begin(), radices.end(), plan_.radix);
  if (generic > kLongestDirect) {
    build_bluestein();
  } else if (generic > 1) {
    build_direct();
  }
}

template <class T>
const T* PlannedAxis<T>::keep(std::vector<double> values) {
  tables_.emplace_back(values.begin(), values.end());
  return tables_.back().data();
}

template <class T>
void PlannedAxis<T>::build_twiddles() {
  int length = plan_.length;
  for (int s = 0; s < plan_.stages; ++s) {
    const int radix = plan_.radix[s], span = length / radix;
    plan_.span[s] = span;
    if (s + 1 < plan_.stages) {
      std::vector<double> table;
      table.reserve(size_t(span) * 2 * (radix - 1));
      for (int j = 0; j < span; ++j) {
        for (int k = 1; k < radix; ++k) {
          table.push_back(constant::cos_turn(static_cast<long long>(j) * k, length));
          table.push_back(constant::sin_turn(static_cast<long long>(j) * k, length));
        }
      }
      plan_.twiddle[s] = keep(std::move(table));
    }
    length = span;
  }
}

template <class T>
void PlannedAxis<T>::build_frequencies() {
  const int n = plan_.length;
  std::vector<int32_t> frequency(n), position(n), identity(n);
  for (int e = 0; e < n; ++e) {
    int rest = e, weight = 1, k = 0;
    for (int s = 0; s < plan_.stages; ++s) {
      k += rest / plan_.span[s] * weight;
      rest %= plan_.span[s];
      weight *= plan_.radix[s];
    }
    frequency[e] = k;
    position[k] = e;
    identity[e] = e;
  }
  indices_ = {std::move(frequency), std::move(position), std::move(identity)};
  plan_.frequency = indices_[0].data();
  plan_.position = indices_[1].data();
  plan_.identity = indices_[2].data();
}

template <class T>
void PlannedAxis<T>::build_direct() {
  GenericDft<T>& generic = plan_.generic;
  generic.kind = GenericDft<T>::Kind::kDirect;
  const int half = (generic.length - 1) / 2;
  std::vector<double> cos, sin;
  for (int k = 1; k <= half; ++k) {
    for (int n = 1; n <= half; ++n) {
      cos.push_back(constant::cos_turn(k * n, generic.length));
      sin.push_back(constant::sin_turn(k * n, generic.length));
    }
  }
  generic.cos = keep(std::move(cos));
  generic.sin = keep(std::move(sin));
}

template <class T>
void PlannedAxis<T>::build_bluestein() {
  GenericDft<T>& generic = plan_.generic;
  generic.kind = GenericDft<T>::Kind::kBluestein;
  const long long n = generic.length;
  inner_ = std::make_unique<PlannedAxis>(next_smooth<T>(static_cast<int>(2 * n - 1)));
  generic.inner = &inner_->plan();
  const int m = generic.inner->length;
  // exp(-i pi j^2 / n): the square modulo 2n keeps the argument exact.
  std::vector<double> chirp(2 * n);
  for (long long j = 0; j < n; ++j) {
    chirp[2 * j] = constant::cos_turn(j * j % (2 * n), 2 * n);
    chirp[2 * j + 1] = -constant::sin_turn(j * j % (2 * n), 2 * n);
  }
  std::vector<Complex<double>> wrapped(m, Complex<double>{0, 0});
  for (long long j = 0; j < n; ++j) {
    wrapped[j] = {chirp[2 * j] / m, -chirp[2 * j + 1] / m};
    if (j > 0) wrapped[m - j] = wrapped[j];
  }
  transform_by_position(*generic.inner, wrapped);
  std::vector<double> spectrum;
  for (const Complex<double>& value : wrapped) spectrum.insert(spectrum.end(), {value.re, value.im});
  generic.chirp = keep(std::move(chirp));
  generic.chirp_spectrum = keep(std::move(spectrum));
}

template <class T>
size_t PlannedAxis<T>::bytes() const {
  size_t total = inner_ ? inner_->bytes() : 0;
  for (const auto& table : tables_) total += table.size() * sizeof(T);
  for (const auto& table : indices_) total += table.size() * sizeof(int32_t);
  return total;
}

template <class T>
std::string describe(const AxisPlan<T>& plan) {
  std::string text = std::to_string(plan.length);
  using Kind = typename GenericDft<T>::Kind;
  for (int s = 0; s < plan.stages; ++s) {
    text += s == 0 ? " = " : " x ";
    const bool last = s + 1 == plan.stages;
    if (last && plan.generic.kind == Kind::kDirect) text += "direct ";
    text += std::to_string(plan.radix[s]);
    if (last && plan.generic.kind == Kind::kBluestein) text += " by Bluestein over " + describe(*plan.generic.inner);
  }
  return text;
}

template class PlannedAxis<float>;
template class PlannedAxis<double>;
template std::string describe<float>(const AxisPlan<float>&);
template std::string describe<double>(const AxisPlan<double>&);

}  // namespace freqops
