// Fourier transforms of the rows in the lanes of vectors. The first pass reads the rows and the
// last one writes them where radix and kind allow it, so that nothing is stored in between.
#include "mlx/backend/cpu/fft.h"

#include "mlx/backend/cpu/fft_butterfly.h"
#include "mlx/backend/cpu/fft_half.h"
#include "mlx/backend/cpu/fft_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

constexpr int64_t tile_numbers = 8;  // are loaded or stored at a time

template <typename T>
int count_from(T begin, T end) {
  return static_cast<int>(end - begin < tile_numbers ? end - begin : tile_numbers);
}

/** Calls f with the radix as a constant; false if it has no butterfly of its own. */
template <typename F>
bool with_radix(int radix, const F& f) {
  switch (radix) {
    case 2:
      f(std::integral_constant<int, 2>());
      return true;
    case 3:
      f(std::integral_constant<int, 3>());
      return true;
    case 4:
      f(std::integral_constant<int, 4>());
      return true;
    case 5:
      f(std::integral_constant<int, 5>());
      return true;
    case 8:
      f(std::integral_constant<int, 8>());
      return true;
    default:
      return false;
  }
}

bool has_butterfly(int radix) {
  return with_radix(radix, [](auto) {});
}

/** Where the first pass reads: rows, or the half spectrum that stands for them. */
template <typename T>
struct Source {
  const RowsInLanes<T>& rows;
  const FftProgram<T>& program;
  const Numbers<T>* half = nullptr;

  /** Whether numbers may be loaded one by one, without a loss. */
  bool takes_lines() const { return !half && rows.length() >= program.n && rows.loads_lines(); }

  void load(int64_t begin, int64_t count, Numbers<T>* x) const {
    if (!half) return rows.load(begin, count, x);
    int64_t n = program.n;
    for (int64_t k = begin; k < begin + count; k++) {
      const T* w = program.half_twiddles + 2 * k;
      x[k - begin] = combined_half<T>(half[k], half[n - k], {simd::splat(w[0]), simd::splat(w[1])});
    }
  }
};

/** Where the last pass writes. */
template <typename T>
struct Sink {
  const RowsInLanes<T>& rows;
  const FftTwist* twist;
  int64_t numbers;  // that are stored

  bool takes_lines(int64_t n) const { return !twist && numbers >= n && rows.stores_lines(); }

  void store(int64_t begin, int64_t count, Numbers<T>* x) const {
    if (twist) turn(begin, count, x);
    count = numbers - begin < count ? numbers - begin : count;
    if (count > 0) rows.store(begin, count, x);
  }

  void turn(int64_t begin, int64_t count, Numbers<T>* x) const {
    constexpr int lanes = simd::kLanes<T>;
    const FftRoots& roots = twist->roots;
    auto first = static_cast<const T*>(twist->lanes) + begin * 2 * lanes;
    int64_t angle = begin * twist->column % roots.n;
    for (int64_t k = 0; k < count; k++, first += 2 * lanes) {
      Numbers<T> w{simd::load(first), simd::load(first + lanes)};
      if (twist->column) {
        auto base = root<T>(roots, angle);
        w = times<T>(w, base.re, base.im);
        angle += twist->column;
        angle -= angle >= roots.n ? roots.n : 0;
      }
      x[k] = product<T>(x[k], w);
    }
  }
};

/** The butterfly of a first pass at i, and its place in what the next pass reads. */
template <int radix, typename T>
inline void first_butterfly(const FftStage<T>& s, int64_t i, Numbers<T> (&x)[radix],
                            Numbers<T>* out) {
  const T* w = s.twiddles + i * 2 * (radix - 1);
  butterfly<T>(x);
  out[i] = x[0];
  for (int j = 1; j < radix; j++) out[i + s.ido * j] = times<T>(x[j], w[2 * j - 2], w[2 * j - 1]);
}

template <int radix, typename T>
void first_pass(const FftStage<T>& s, const Source<T>& source, Numbers<T>* out) {
  if (source.takes_lines()) {
    for (int64_t i = 0; i < s.ido; i++) {
      Numbers<T> x[radix];
      for (int j = 0; j < radix; j++) x[j] = source.rows.load_line(i + s.ido * j);
      first_butterfly<radix>(s, i, x, out);
    }
    return;
  }
  Numbers<T> tile[radix][tile_numbers];
  for (int64_t begin = 0; begin < s.ido; begin += tile_numbers) {
    int count = count_from(begin, s.ido);
    for (int j = 0; j < radix; j++) source.load(begin + s.ido * j, count, tile[j]);
    for (int i = 0; i < count; i++) {
      Numbers<T> x[radix];
      for (int j = 0; j < radix; j++) x[j] = tile[j][i];
      first_butterfly<radix>(s, begin + i, x, out);
    }
  }
}

template <int radix, typename T>
void pass(const FftStage<T>& s, const Numbers<T>* in, Numbers<T>* out) {
  for (int64_t k = 0; k < s.l1; k++) {
    const T* w = s.twiddles;
    for (int64_t i = 0; i < s.ido; i++, w += 2 * (radix - 1)) {
      Numbers<T> x[radix];
      for (int j = 0; j < radix; j++) x[j] = in[i + s.ido * (j + radix * k)];
      butterfly<T>(x);
      out[i + s.ido * k] = x[0];
      for (int j = 1; j < radix; j++) {
        out[i + s.ido * (k + s.l1 * j)] = times<T>(x[j], w[2 * j - 2], w[2 * j - 1]);
      }
    }
  }
}

/** The pass with ido = 1, whose twiddles are all 1. */
template <int radix, typename T>
void last_pass(const FftStage<T>& s, const Numbers<T>* in, const Sink<T>& sink) {
  if (sink.takes_lines(s.l1 * radix)) {
    for (int64_t k = 0; k < s.l1; k++, in += radix) {
      Numbers<T> x[radix];
      for (int j = 0; j < radix; j++) x[j] = in[j];
      butterfly<T>(x);
      for (int j = 0; j < radix; j++) sink.rows.store_line(k + s.l1 * j, x[j]);
    }
    return;
  }
  Numbers<T> tile[radix][tile_numbers];
  for (int64_t begin = 0; begin < s.l1; begin += tile_numbers) {
    int count = count_from(begin, s.l1);
    for (int k = 0; k < count; k++, in += radix) {
      Numbers<T> x[radix];
      for (int j = 0; j < radix; j++) x[j] = in[j];
      butterfly<T>(x);
      for (int j = 0; j < radix; j++) tile[j][k] = x[j];
    }
    for (int j = 0; j < radix; j++) sink.store(begin + s.l1 * j, count, tile[j]);
  }
}

/** One number of a DFT of odd length: the mean over cosines plus and minus that over sines. */
template <typename T>
void odd_outputs(const FftStage<T>& s, const Numbers<T>& first, const Numbers<T>* sums,
                 const Numbers<T>* differences, int j, Numbers<T>& low, Numbers<T>& high) {
  Numbers<T> a = first, b{};
  for (int m = 1, angle = j; m <= s.radix / 2; m++) {
    auto c = simd::splat(s.roots[2 * angle]), d = simd::splat(s.roots[2 * angle + 1]);
    a = {simd::fma<T>(sums[m].re, c, a.re), simd::fma<T>(sums[m].im, c, a.im)};
    b = {simd::fma<T>(differences[m].re, d, b.re), simd::fma<T>(differences[m].im, d, b.im)};
    angle += j;
    angle -= angle >= s.radix ? s.radix : 0;
  }
  b = times_minus_i(b);
  low = a + b;
  high = a - b;
}

template <typename T>
void odd_pass(const FftStage<T>& s, const Numbers<T>* in, Numbers<T>* out) {
  Numbers<T> sums[max_fft_radix / 2 + 1], differences[max_fft_radix / 2 + 1];
  int r = s.radix;
  for (int64_t k = 0; k < s.l1; k++) {
    for (int64_t i = 0; i < s.ido; i++) {
      const T* w = s.twiddles + 2 * (r - 1) * i;
      const Numbers<T>* x = in + i + s.ido * r * k;
      Numbers<T> total = x[0];
      for (int m = 1; m <= r / 2; m++) {
        sums[m] = x[s.ido * m] + x[s.ido * (r - m)];
        differences[m] = x[s.ido * m] - x[s.ido * (r - m)];
        total = total + sums[m];
      }
      out[i + s.ido * k] = total;
      for (int j = 1; j <= r / 2; j++) {
        Numbers<T> low, high;
        odd_outputs(s, x[0], sums, differences, j, low, high);
        int mirror = r - j;
        out[i + s.ido * (k + s.l1 * j)] = times<T>(low, w[2 * j - 2], w[2 * j - 1]);
        out[i + s.ido * (k + s.l1 * mirror)] = times<T>(high, w[2 * mirror - 2], w[2 * mirror - 1]);
      }
    }
  }
}

/** Two buffers, of which `now` holds the numbers. */
template <typename T>
struct Buffers {
  Numbers<T>* now;
  Numbers<T>* other;

  void swap() {
    Numbers<T>* x = now;
    now = other;
    other = x;
  }
};

template <typename T>
void run_stages(const FftProgram<T>& p, int begin, int end, Buffers<T>& x) {
  for (int i = begin; i < end; i++) {
    const auto& s = p.stages[i];
    bool known =
        with_radix(s.radix, [&](auto radix) { pass<decltype(radix)::value>(s, x.now, x.other); });
    if (!known) odd_pass(s, x.now, x.other);
    x.swap();
  }
}

/** Bluestein: the transform as a convolution with a chirp, of a length that has small factors. */
template <typename T>
void convolve(const FftProgram<T>& p, Buffers<T>& x) {
  for (int64_t j = 0; j < p.n; j++) {
    x.now[j] = times<T>(x.now[j], p.chirp[2 * j], p.chirp[2 * j + 1]);
  }
  for (int64_t j = p.n; j < p.inner_n; j++) x.now[j] = Numbers<T>{};
  run_stages(p, 0, p.stage_count, x);
  for (int64_t j = 0; j < p.inner_n; j++) {
    auto y = times<T>(x.now[j], p.chirp_filter[2 * j], p.chirp_filter[2 * j + 1]);
    x.now[j] = {y.im, y.re};
  }
  run_stages(p, 0, p.stage_count, x);
  for (int64_t j = 0; j < p.n; j++) {
    x.now[j] = times<T>({x.now[j].im, x.now[j].re}, p.chirp[2 * j], p.chirp[2 * j + 1]);
  }
}

template <typename T>
void load_all(const Source<T>& source, int64_t n, Numbers<T>* x) {
  for (int64_t j = 0; j < n; j += tile_numbers) source.load(j, count_from(j, n), x + j);
}

template <typename T>
void store_all(const Sink<T>& sink, int64_t n, Numbers<T>* x) {
  for (int64_t j = 0; j < n; j += tile_numbers) sink.store(j, count_from(j, n), x + j);
}

/** The first n + 1 numbers of real rows of length 2n from the transform z of their pairs. */
template <typename T>
void split_half(const FftProgram<T>& p, const Numbers<T>* z, Numbers<T>* x) {
  for (int64_t k = 0; k <= p.n; k++) {
    const T* w = p.half_twiddles + 2 * k;
    x[k] = split_half<T>(z[k == p.n ? 0 : k], z[k == 0 ? 0 : p.n - k],
                         {simd::splat(w[0]), simd::splat(w[1])});
  }
}

/** Numbers [n / 2 + 1, n) of a row of odd length n are the mirrored conjugates of the others. */
template <typename T>
void mirror_odd(Numbers<T>* x, int64_t n) {
  x[0].re = simd::Vec<T>{};
  for (int64_t k = 1; k <= n / 2; k++) x[n - k] = {-x[k].re, x[k].im};
}

/** Reads the rows and runs the stages in front of `end`, as many as there are, in x. */
template <typename T>
void begin_transform(const FftProgram<T>& p, const FftRows& job, const RowsInLanes<T>& rows,
                     int end, Buffers<T>& x) {
  Source<T> source{rows, p};
  if (job.kind == FftKind::half_to_real) {
    load_all(source, p.n + 1, x.other);
    x.other[0].im = x.other[p.n].im = simd::Vec<T>{};
    source.half = x.other;
  }
  bool odd = job.kind == FftKind::half_to_real_odd;
  bool direct = !p.chirp && !odd && end > 0 && has_butterfly(p.stages[0].radix);
  // Squares would not be full.
  if (direct && (p.stages[0].ido >= tile_numbers || !rows.loads_squares())) {
    const auto& s = p.stages[0];
    with_radix(s.radix, [&](auto radix) { first_pass<decltype(radix)::value>(s, source, x.now); });
    return run_stages(p, 1, end, x);
  }
  load_all(source, odd ? p.n / 2 + 1 : p.n, x.now);
  if (odd) mirror_odd<T>(x.now, p.n);
  if (p.chirp) {
    convolve(p, x);
  } else {
    run_stages(p, 0, end, x);
  }
}

template <typename T>
void transform(const FftProgram<T>& p, const FftRows& job) {
  RowsInLanes<T> rows(job);
  auto* first = static_cast<Numbers<T>*>(job.scratch);
  Buffers<T> x{first, first + p.inner_n + 1};
  bool odd = job.kind == FftKind::real_to_half_odd;
  Sink<T> sink{rows, job.twist, odd ? p.n / 2 + 1 : p.n};
  int last = p.stage_count - 1;
  if (!p.chirp && job.kind != FftKind::real_to_half && last > 0 &&
      has_butterfly(p.stages[last].radix) &&
      (p.stages[last].l1 >= tile_numbers || !rows.stores_squares())) {
    begin_transform(p, job, rows, last, x);
    const auto& s = p.stages[last];
    with_radix(s.radix, [&](auto radix) { last_pass<decltype(radix)::value>(s, x.now, sink); });
    return;
  }
  begin_transform(p, job, rows, p.stage_count, x);
  if (job.kind == FftKind::real_to_half) {
    split_half(p, x.now, x.other);
    x.swap();
    sink.numbers = p.n + 1;
  }
  store_all(sink, sink.numbers, x.now);
}

}  // namespace

const FftKernels& fft_kernels() {
  static constexpr FftKernels table{
      {simd::kLanes<float>, transform<float>, split_half_dense<float>, combine_half_dense<float>},
      {simd::kLanes<double>, transform<double>, split_half_dense<double>,
       combine_half_dense<double>}};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
