// Fourier transforms of the rows in the lanes of vectors: load, the passes of the plan, store. The
// inverse transform is the forward one with real and imaginary parts exchanged on both ends.
#include "mlx/backend/cpu/fft.h"

#include "mlx/backend/cpu/fft_butterfly.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

constexpr int vector_bytes =
#if defined(__AVX512F__)
    64;
#elif defined(__AVX2__)
    32;
#else
    16;
#endif

template <typename T, int lanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * lanes)));
};
template <typename T>
struct VectorOf<T, 1> {
  using type = T;
};

template <int radix, typename V, typename T>
void pass(const FftStage<T>& s, const Complex<V>* in, Complex<V>* out) {
  for (int64_t k = 0; k < s.l1; k++) {
    const T* w = s.twiddles;
    for (int64_t i = 0; i < s.ido; i++, w += 2 * (radix - 1)) {
      Complex<V> x[radix];
      for (int j = 0; j < radix; j++) {
        x[j] = in[i + s.ido * (j + radix * k)];
      }
      butterfly<T>(x);
      out[i + s.ido * k] = x[0];
      for (int j = 1; j < radix; j++) {
        out[i + s.ido * (k + s.l1 * j)] = times(x[j], w[2 * j - 2], w[2 * j - 1]);
      }
    }
  }
}

/** One number of a DFT of odd length: the mean over cosines plus and minus that over sines. */
template <typename V, typename T>
void odd_outputs(const FftStage<T>& s, const Complex<V>& first, const Complex<V>* sums,
                 const Complex<V>* differences, int j, Complex<V>& low, Complex<V>& high) {
  Complex<V> a = first, b{};
  for (int m = 1, angle = j; m <= s.radix / 2; m++, angle = (angle + j) % s.radix) {
    T c = s.roots[2 * angle], d = s.roots[2 * angle + 1];
    a = a + Complex<V>{sums[m].re * c, sums[m].im * c};
    b = b + Complex<V>{differences[m].re * d, differences[m].im * d};
  }
  b = times_minus_i(b);
  low = a + b;
  high = a - b;
}

template <typename V, typename T>
void odd_pass(const FftStage<T>& s, const Complex<V>* in, Complex<V>* out) {
  Complex<V> sums[max_fft_radix / 2 + 1], differences[max_fft_radix / 2 + 1];
  int r = s.radix;
  for (int64_t k = 0; k < s.l1; k++) {
    for (int64_t i = 0; i < s.ido; i++) {
      const T* w = s.twiddles + 2 * (r - 1) * i;
      const Complex<V>* x = in + i + s.ido * r * k;
      Complex<V> total = x[0];
      for (int m = 1; m <= r / 2; m++) {
        sums[m] = x[s.ido * m] + x[s.ido * (r - m)];
        differences[m] = x[s.ido * m] - x[s.ido * (r - m)];
        total = total + sums[m];
      }
      out[i + s.ido * k] = total;
      for (int j = 1; j <= r / 2; j++) {
        Complex<V> low, high;
        odd_outputs(s, x[0], sums, differences, j, low, high);
        int mirror = r - j;
        out[i + s.ido * (k + s.l1 * j)] = times(low, w[2 * j - 2], w[2 * j - 1]);
        out[i + s.ido * (k + s.l1 * mirror)] = times(high, w[2 * mirror - 2], w[2 * mirror - 1]);
      }
    }
  }
}

/** Transforms a, with b as space; returns the one that holds the result. */
template <typename V, typename T>
Complex<V>* run_stages(const FftProgram<T>& p, Complex<V>* a, Complex<V>* b) {
  for (int i = 0; i < p.stage_count; i++) {
    const auto& s = p.stages[i];
    switch (s.radix) {
      case 2:
        pass<2>(s, a, b);
        break;
      case 3:
        pass<3>(s, a, b);
        break;
      case 4:
        pass<4>(s, a, b);
        break;
      case 5:
        pass<5>(s, a, b);
        break;
      case 8:
        pass<8>(s, a, b);
        break;
      default:
        odd_pass(s, a, b);
    }
    Complex<V>* result = b;
    b = a;
    a = result;
  }
  return a;
}

/** Bluestein: the transform as a convolution with a chirp, of a length that has small factors. */
template <typename V, typename T>
Complex<V>* run_program(const FftProgram<T>& p, Complex<V>* a, Complex<V>* b) {
  if (!p.chirp) {
    return run_stages(p, a, b);
  }
  for (int64_t j = 0; j < p.n; j++) {
    a[j] = times(a[j], p.chirp[2 * j], p.chirp[2 * j + 1]);
  }
  for (int64_t j = p.n; j < p.inner_n; j++) {
    a[j] = Complex<V>{};
  }
  Complex<V>* x = run_stages(p, a, b);
  for (int64_t j = 0; j < p.inner_n; j++) {
    auto y = times(x[j], p.chirp_filter[2 * j], p.chirp_filter[2 * j + 1]);
    x[j] = {y.im, y.re};
  }
  x = run_stages(p, x, x == a ? b : a);
  for (int64_t j = 0; j < p.n; j++) {
    x[j] = times(Complex<V>{x[j].im, x[j].re}, p.chirp[2 * j], p.chirp[2 * j + 1]);
  }
  return x;
}

/** The rows in memory on one side, vectors of one number from each row on the other. */
template <typename T, typename Stored, int width>
struct Rows {
  using V = typename VectorOf<T, width>::type;
  const FftRows& rows;

  static T* parts(Complex<V>* x) { return reinterpret_cast<T*>(x); }

  /** f(j, lane) for all numbers [begin, end) of all rows; whole cache lines of rows in memory. */
  template <typename F>
  void each(int64_t begin, int64_t end, int64_t stride, const F& f) const {
    int64_t block = stride == 1 ? 16 : 1;
    for (int64_t first = begin; first < end; first += block) {
      int64_t last = first + block < end ? first + block : end;
      for (int l = 0; l < rows.lanes; l++) {
        for (int64_t j = first; j < last; j++) {
          f(j, l);
        }
      }
    }
  }

  /** Complex numbers [0, n) of each row; `swap` exchanges their parts. */
  void load_complex(Complex<V>* x, int64_t n, bool swap) const {
    const Stored* in = static_cast<const Stored*>(rows.in);
    int64_t available = n < rows.in_length ? n : rows.in_length;
    T* re = parts(x) + (swap ? width : 0);
    T* im = parts(x) + (swap ? 0 : width);
    each(0, available, rows.in_stride, [=, this](int64_t j, int l) {
      const Stored* number = in + 2 * (rows.in_offsets[l] + j * rows.in_stride);
      re[2 * j * width + l] = static_cast<T>(number[0]);
      im[2 * j * width + l] = static_cast<T>(number[1]);
    });
    clear(x, available, n);
  }

  /** Real numbers [0, n) of each row. */
  void load_real(Complex<V>* x, int64_t n, bool swap) const {
    const Stored* in = static_cast<const Stored*>(rows.in);
    T* re = parts(x) + (swap ? width : 0);
    clear(x, 0, n);
    each(0, n < rows.in_length ? n : rows.in_length, rows.in_stride, [=, this](int64_t j, int l) {
      re[2 * j * width + l] = static_cast<T>(in[rows.in_offsets[l] + j * rows.in_stride]);
    });
  }

  /** Real numbers in pairs, as n complex ones. */
  void load_pairs(Complex<V>* x, int64_t n) const {
    const Stored* in = static_cast<const Stored*>(rows.in);
    T* flat = parts(x);
    int64_t available = 2 * n < rows.in_length ? 2 * n : rows.in_length;
    clear(x, available / 2, n);
    each(0, available, rows.in_stride, [=, this](int64_t j, int l) {
      flat[j * width + l] = static_cast<T>(in[rows.in_offsets[l] + j * rows.in_stride]);
    });
  }

  static void clear(Complex<V>* x, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j++) {
      x[j] = Complex<V>{};
    }
  }

  void store_complex(Complex<V>* x, int64_t n, bool swap) const {
    T scale = static_cast<T>(rows.scale);
    const T* re = parts(x) + (swap ? width : 0);
    const T* im = parts(x) + (swap ? 0 : width);
    auto* out = static_cast<Stored*>(rows.out);
    each(0, n, rows.out_stride, [=, this](int64_t j, int l) {
      Stored* number = out + 2 * (rows.out_offsets[l] + j * rows.out_stride);
      number[0] = static_cast<Stored>(re[2 * j * width + l] * scale);
      number[1] = static_cast<Stored>(im[2 * j * width + l] * scale);
    });
  }

  /** Real numbers [0, n) from the imaginary parts. */
  void store_imaginary(Complex<V>* x, int64_t n) const {
    T scale = static_cast<T>(rows.scale);
    const T* im = parts(x) + width;
    auto* out = static_cast<Stored*>(rows.out);
    each(0, n, rows.out_stride, [=, this](int64_t j, int l) {
      out[rows.out_offsets[l] + j * rows.out_stride] =
          static_cast<Stored>(im[2 * j * width + l] * scale);
    });
  }

  /** 2n real numbers from pairs whose parts are exchanged. */
  void store_pairs(Complex<V>* x, int64_t n) const {
    T scale = static_cast<T>(rows.scale);
    const T* flat = parts(x);
    auto* out = static_cast<Stored*>(rows.out);
    each(0, 2 * n, rows.out_stride, [=, this](int64_t j, int l) {
      out[rows.out_offsets[l] + j * rows.out_stride] =
          static_cast<Stored>(flat[(j ^ 1) * width + l] * scale);
    });
  }
};

/** The first n + 1 numbers of real rows of length 2n from the transform z of their pairs. */
template <typename V, typename T>
void split_half(const FftProgram<T>& p, const Complex<V>* z, Complex<V>* x) {
  for (int64_t k = 0; k <= p.n; k++) {
    const auto& a = z[k == p.n ? 0 : k];
    const auto& b = z[k == 0 ? 0 : p.n - k];
    Complex<V> even{(a.re + b.re) * T(0.5), (a.im - b.im) * T(0.5)};
    Complex<V> odd{(a.im + b.im) * T(0.5), (b.re - a.re) * T(0.5)};
    x[k] = even + times(odd, p.half_twiddles[2 * k], p.half_twiddles[2 * k + 1]);
  }
}

/** What split_half does, backwards: x[0 … n] to pairs, with exchanged parts for the inverse. */
template <typename V, typename T>
void combine_half(const FftProgram<T>& p, Complex<V>* x, Complex<V>* z) {
  x[0].im = V{};
  x[p.n].im = V{};
  for (int64_t k = 0; k < p.n; k++) {
    const auto& a = x[k];
    const auto& b = x[p.n - k];
    Complex<V> even{a.re + b.re, a.im - b.im};
    auto odd = times(Complex<V>{a.re - b.re, a.im + b.im}, p.half_twiddles[2 * k],
                     -p.half_twiddles[2 * k + 1]);
    z[k] = {even.im + odd.re, even.re - odd.im};
  }
}

/** Numbers [n / 2 + 1, n) of a row of odd length n are the mirrored conjugates of the others. */
template <typename V>
void mirror_odd(Complex<V>* x, int64_t n) {
  x[0].re = V{};
  for (int64_t k = 1; k <= n / 2; k++) {
    x[n - k] = {-x[k].re, x[k].im};
  }
}

template <typename T, typename Stored, int width>
void transform(const FftProgram<T>& p, const FftRows& job) {
  using R = Rows<T, Stored, width>;
  using V = typename R::V;
  R rows{job};
  auto* a = static_cast<Complex<V>*>(job.scratch);
  Complex<V>* b = a + p.inner_n + 1;
  switch (job.kind) {
    case FftKind::complex_to_complex:
      rows.load_complex(a, p.n, job.inverse);
      break;
    case FftKind::real_to_complex:
      rows.load_real(a, p.n, job.inverse);
      break;
    case FftKind::real_to_half:
      rows.load_pairs(a, p.n);
      break;
    case FftKind::real_to_half_odd:
      rows.load_real(a, p.n, false);
      break;
    case FftKind::half_to_real:
      rows.load_complex(b, p.n + 1, false);
      combine_half(p, b, a);
      break;
    case FftKind::half_to_real_odd:
      rows.load_complex(a, p.n / 2 + 1, true);
      mirror_odd(a, p.n);
      break;
  }
  Complex<V>* x = run_program(p, a, b);
  Complex<V>* other = x == a ? b : a;
  switch (job.kind) {
    case FftKind::complex_to_complex:
    case FftKind::real_to_complex:
      rows.store_complex(x, p.n, job.inverse);
      break;
    case FftKind::real_to_half:
      split_half(p, x, other);
      rows.store_complex(other, p.n + 1, false);
      break;
    case FftKind::real_to_half_odd:
      rows.store_complex(x, p.n / 2 + 1, false);
      break;
    case FftKind::half_to_real:
      rows.store_pairs(x, p.n);
      break;
    case FftKind::half_to_real_odd:
      rows.store_imaginary(x, p.n);
      break;
  }
}

constexpr int float_lanes = vector_bytes / sizeof(float);
constexpr int double_lanes = vector_bytes / sizeof(double);

void from_float(const FftProgram<float>& p, const FftRows& rows, bool wide) {
  wide ? transform<float, float, float_lanes>(p, rows) : transform<float, float, 1>(p, rows);
}

void from_float_in_double(const FftProgram<double>& p, const FftRows& rows, bool wide) {
  wide ? transform<double, float, double_lanes>(p, rows) : transform<double, float, 1>(p, rows);
}

void from_double(const FftProgram<double>& p, const FftRows& rows, bool wide) {
  wide ? transform<double, double, double_lanes>(p, rows) : transform<double, double, 1>(p, rows);
}

}  // namespace

const FftKernels& fft_kernels() {
  static constexpr FftKernels table{float_lanes, double_lanes, from_float, from_float_in_double,
                                    from_double};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
