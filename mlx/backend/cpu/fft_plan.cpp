// Tables are computed in double from angles that are reduced exactly, so that each entry is right
// to the last bit or nearly so.
#include "mlx/backend/cpu/fft_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>

#include "mlx/backend/cpu/fft_long.h"

namespace mlx::core::cpu {

namespace {

using Number = std::complex<double>;

/** exp(-2 pi i k / n), from the angle of at most an eighth of a turn that it mirrors. */
Number unit_root(int64_t k, int64_t n) {
  k %= n;
  bool below = 2 * k > n;
  int64_t quarter = 4 * (below ? n - k : k);  // in units of a quarter turn / n
  bool left = quarter > n;
  quarter = left ? 2 * n - quarter : quarter;
  bool steep = 2 * quarter > n;
  quarter = steep ? n - quarter : quarter;
  double angle = std::numbers::pi / 2 * static_cast<double>(quarter) / static_cast<double>(n);
  double c = steep ? std::sin(angle) : std::cos(angle);
  double s = steep ? std::cos(angle) : std::sin(angle);
  return {left ? -c : c, below ? s : -s};
}

/** Twos as 8 and 4, and a 2 only where nothing is left to join it. */
std::vector<int> powers_of_two(int64_t& n) {
  int twos = std::countr_zero(static_cast<uint64_t>(n));
  n >>= twos;
  std::vector<int> factors;
  int fours = twos % 3 == 2 ? 1 : twos % 3 == 1 && twos > 1 ? 2 : 0;
  factors.assign((twos - 2 * fours) / 3, 8);
  factors.insert(factors.end(), fours, 4);
  if (twos == 1) factors.push_back(2);
  return factors;
}

/** Radices in the order of the passes: those without a butterfly in the middle; 0 for what needs a
 *  convolution, at the end. */
std::vector<int> factorize(int64_t n) {
  std::vector<int> factors = powers_of_two(n);
  for (int radix : {5, 3}) {
    for (; n % radix == 0; n /= radix) factors.push_back(radix);
  }
  for (int radix = 7; radix <= max_fft_radix; radix += 2) {
    for (; n % radix == 0; n /= radix) factors.insert(factors.begin() + !factors.empty(), radix);
  }
  if (n > 1) factors.push_back(0);
  return factors;
}

/** The smallest product of 2, 3 and 5 that is at least n. */
int64_t smooth_length(int64_t n) {
  int64_t best = INT64_MAX;
  for (int64_t five = 1; five < 2 * n; five *= 5) {
    for (int64_t three = five; three < 2 * n; three *= 3) {
      int64_t length = three;
      while (length < n) {
        length *= 2;
      }
      best = std::min(best, length);
    }
  }
  return best;
}

template <typename T>
void append(std::vector<T>& table, Number value) {
  table.push_back(static_cast<T>(value.real()));
  table.push_back(static_cast<T>(value.imag()));
}

/** The transform of a table, where speed does not matter: by the smallest factor. */
std::vector<Number> simple_transform(const std::vector<Number>& x) {
  auto n = static_cast<int64_t>(x.size());
  if (n == 1) {
    return x;
  }
  int64_t radix = n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : 5;
  std::vector<Number> out(x.size());
  for (int64_t part = 0; part < radix; part++) {
    std::vector<Number> strided;
    for (int64_t i = part; i < n; i += radix) {
      strided.push_back(x[i]);
    }
    auto y = simple_transform(strided);
    for (int64_t k = 0; k < n; k++) {
      out[k] += unit_root(part * k, n) * y[k % (n / radix)];
    }
  }
  return out;
}

}  // namespace

bool fft_needs_convolution(int64_t n) {
  auto factors = factorize(n);
  return !factors.empty() && factors.back() == 0;
}

template <typename T>
FftPlan<T>::FftPlan(int64_t n) {
  bool convolution = fft_needs_convolution(n);
  program_.n = n;
  program_.inner_n = convolution ? smooth_length(2 * n - 1) : n;
  add_stages();
  if (convolution) {
    add_chirp();
  }
  std::vector<T> half;
  for (int64_t k = 0; k <= n; k++) {
    append(half, unit_root(k, 2 * n));
  }
  tables_.push_back(std::move(half));
  program_.half_twiddles = tables_.back().data();
}

template <typename T>
void FftPlan<T>::add_stages() {
  int64_t n = program_.inner_n;
  int64_t l1 = 1;
  for (int radix : factorize(n)) {
    int64_t ido = n / (l1 * radix);
    std::vector<T> twiddles, roots;
    for (int64_t i = 0; i < ido; i++) {
      for (int j = 1; j < radix; j++) {
        append(twiddles, unit_root(j * l1 * i, n));
      }
    }
    for (int m = 0; m < radix; m++) {
      append(roots, unit_root(radix - m, radix));
    }
    stages_.push_back({radix, l1, ido, twiddles.data(), roots.data()});
    tables_.push_back(std::move(twiddles));
    tables_.push_back(std::move(roots));
    l1 *= radix;
  }
  program_.stages = stages_.data();
  program_.stage_count = static_cast<int>(stages_.size());
}

template <typename T>
void FftPlan<T>::add_chirp() {
  int64_t n = program_.n;
  int64_t inner = program_.inner_n;
  std::vector<T> chirp, filter;
  std::vector<Number> mirrored(inner);
  for (int64_t j = 0; j < n; j++) {
    Number c = unit_root(j * j % (2 * n), 2 * n);
    append(chirp, c);
    mirrored[j] = mirrored[(inner - j) % inner] = std::conj(c);
  }
  for (const Number& value : simple_transform(mirrored)) {
    append(filter, value / static_cast<double>(inner));
  }
  tables_.push_back(std::move(chirp));
  program_.chirp = tables_.back().data();
  tables_.push_back(std::move(filter));
  program_.chirp_filter = tables_.back().data();
}

FftRootTable::FftRootTable(int64_t n)
    : n_(n), shift_(static_cast<int>(std::bit_width(static_cast<uint64_t>(n)) + 1) / 2) {
  int64_t step = int64_t{1} << shift_;
  for (int64_t k = 0; k < n; k += step) append(coarse_, unit_root(k, n));
  for (int64_t k = 0; k < std::min(step, n); k++) append(fine_, unit_root(k, n));
}

Number FftRootTable::operator()(int64_t k) const {
  int64_t high = k >> shift_, low = k & ((int64_t{1} << shift_) - 1);
  return Number(coarse_[2 * high], coarse_[2 * high + 1]) *
         Number(fine_[2 * low], fine_[2 * low + 1]);
}

int64_t fft_split_rows(int64_t n) {
  auto rows = static_cast<int64_t>(std::sqrt(static_cast<double>(n)));
  while (n % rows) rows--;
  return rows;
}

namespace {

/** Vectors of real and of imaginary parts of roots step first, step (first + 1), … */
template <typename T>
void append_lanes(std::vector<T>& table, const FftRootTable& roots, int64_t step,
                  int64_t first = 0) {
  int64_t lanes = fft_kernels().of<T>().lanes, n = roots.roots().n;
  for (bool imaginary : {false, true}) {
    for (int64_t l = first; l < first + lanes; l++) {
      Number w = roots(step * l % n);
      table.push_back(static_cast<T>(imaginary ? w.imag() : w.real()));
    }
  }
}

}  // namespace

template <typename T>
FftHalfTable<T>::FftHalfTable(int64_t n) : roots(2 * n) {
  append_lanes(lanes, roots, 1);
}

template <typename T>
FftSplit<T>::FftSplit(int64_t length)
    : n(length),
      rows(fft_split_rows(n)),
      columns(n / rows),
      column_plan(fft_plan<T>(rows)),
      row_plan(fft_plan<T>(columns)),
      roots(n),
      every_group(n <= 1 << 13),  // a table that stays in a cache
      half(n) {
  int64_t groups_end = every_group ? columns : 1;
  for (int64_t first = 0; first < groups_end; first += fft_kernels().of<T>().lanes) {
    for (int64_t k = 0; k < rows; k++) append_lanes(lanes, roots, k, first);
  }
}

template <typename T>
FftTwist FftSplit<T>::twist(int64_t column) const {
  if (!every_group) return {roots.roots(), column, lanes.data()};
  return {roots.roots(), 0, lanes.data() + column * rows * 2};
}

FftChirp::FftChirp(int64_t length) : n(length), inner(smooth_length(2 * n - 1)), half(n) {
  std::vector<Number> mirrored(inner);
  for (int64_t j = 0; j < n; j++) {
    chirp.push_back(half.roots(j * j % (2 * n)));
    mirrored[j] = mirrored[(inner - j) % inner] = std::conj(chirp[j]) / static_cast<double>(inner);
  }
  filter.resize(inner);
  fft_long_row(mirrored.data(), filter.data(), inner);
}

namespace {

/** The recently used plans of a kind, each made on first use. */
template <typename Plan>
std::shared_ptr<const Plan> recent_plan(int64_t n) {
  constexpr size_t kept = 16;
  struct Entry {
    int64_t n;
    std::shared_ptr<const Plan> plan;
  };
  // Never destroyed: a stream's thread may be at work when the process ends.
  static auto& mutex = *new std::mutex;
  static auto& recent = *new std::list<Entry>;  // the last used first
  auto find = [n] {
    auto found = std::find_if(recent.begin(), recent.end(), [n](auto& e) { return e.n == n; });
    if (found != recent.end()) recent.splice(recent.begin(), recent, found);
    return found != recent.end();
  };
  {
    std::lock_guard lock(mutex);
    if (find()) return recent.front().plan;
  }
  auto plan = std::make_shared<const Plan>(n);  // may ask for other plans
  std::lock_guard lock(mutex);
  if (!find()) recent.push_front({n, plan});
  if (recent.size() > kept) recent.pop_back();
  return recent.front().plan;
}

}  // namespace

template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t n) {
  return recent_plan<FftPlan<T>>(n);
}

template <typename T>
std::shared_ptr<const FftSplit<T>> fft_split(int64_t n) {
  return recent_plan<FftSplit<T>>(n);
}

std::shared_ptr<const FftChirp> fft_chirp(int64_t n) { return recent_plan<FftChirp>(n); }

template std::shared_ptr<const FftPlan<float>> fft_plan(int64_t n);
template std::shared_ptr<const FftPlan<double>> fft_plan(int64_t n);
template struct FftSplit<float>;
template struct FftSplit<double>;
template std::shared_ptr<const FftSplit<float>> fft_split(int64_t n);
template std::shared_ptr<const FftSplit<double>> fft_split(int64_t n);

}  // namespace mlx::core::cpu
