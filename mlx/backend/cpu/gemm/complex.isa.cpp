// Gemm kernels of complex64 and complex128: panels keep real and imaginary parts apart, so that a
// tile is four real products. Sums are written interleaved.
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

template <typename T>
struct Complex {
  T re, im;
};

#if defined(__AVX512F__)
constexpr int kComplexRows = 6;
#else
constexpr int kComplexRows = 2;
#endif

template <typename T>
static inline void store_complex(Complex<T>* c, Vec<T> re, Vec<T> im, bool accumulate) {
  for (int i = 0; i < kLanes<T>; ++i) {
    c[i].re = re[i] + (accumulate ? c[i].re : T(0));
    c[i].im = im[i] + (accumulate ? c[i].im : T(0));
  }
}

template <typename T, int Rows, int Vectors>
static void complex_micro_kernel(int64_t steps, const void* a_panel, const void* b_panel,
                                 void* c_tile, int64_t ldc, bool accumulate) {
  constexpr int lanes = kLanes<T>, width = Vectors * lanes;
  auto a = static_cast<const T*>(a_panel);
  auto b = static_cast<const T*>(b_panel);
  Vec<T> re[Rows][Vectors] = {}, im[Rows][Vectors] = {};
  for (int64_t k = 0; k < steps; ++k, a += 2 * Rows, b += 2 * width) {
    Vec<T> b_re[Vectors], b_im[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      b_re[v] = load(b + v * lanes);
      b_im[v] = load(b + width + v * lanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      Vec<T> a_re = splat(a[r]), a_im = splat(a[Rows + r]), minus = -a_im;
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        re[r][v] = fma<T>(minus, b_im[v], fma<T>(a_re, b_re[v], re[r][v]));
        im[r][v] = fma<T>(a_im, b_re[v], fma<T>(a_re, b_im[v], im[r][v]));
      }
    }
  }
  auto c = static_cast<Complex<T>*>(c_tile);
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) {
      store_complex(c + r * ldc + v * lanes, re[r][v], im[r][v], accumulate);
    }
  }
}

template <typename T, int... I>
static constexpr MicroTable<Complex<T>, kComplexRows> make_complex_table(
    std::integer_sequence<int, I...>) {
  return {{complex_micro_kernel<T, I + 1, 1>..., complex_micro_kernel<T, I + 1, 2>...}};
}

template <typename T>
static constexpr auto complex_table =
    make_complex_table<T>(std::make_integer_sequence<int, kComplexRows>{});

// Splits one value into its place w of a packed step.
template <typename T>
static inline void put_parts(T* step, int width, int w, Complex<T> z) {
  step[w] = z.re;
  step[width + w] = z.im;
}

template <typename T>
static void pack_complex_strided(void* panel, int width, const void* source, int64_t width_stride,
                                 int64_t depth_stride, int count, int64_t depth) {
  for (int64_t k = 0; k < depth; ++k) {
    auto from = static_cast<const Complex<T>*>(source) + k * depth_stride;
    T* step = static_cast<T*>(panel) + k * 2 * width;
    for (int w = 0; w < count; ++w) put_parts(step, width, w, from[w * width_stride]);
    for (int w = count; w < width; ++w) put_parts<T>(step, width, w, {0, 0});
  }
}

template <typename T>
static void pack_complex_rows(void* panel, int width, const void* const* rows, int count,
                              int64_t depth) {
  for (int w = 0; w < width; ++w) {
    auto row = static_cast<const Complex<T>*>(w < count ? rows[w] : nullptr);
    for (int64_t k = 0; k < depth; ++k) {
      put_parts(static_cast<T*>(panel) + k * 2 * width, width, w, row ? row[k] : Complex<T>{0, 0});
    }
  }
}

template <typename T>
static void pack_complex_lines(void* panel, int width, const void* const* lines, int count,
                               int64_t depth) {
  for (int64_t k = 0; k < depth; ++k) {
    T* step = static_cast<T*>(panel) + k * 2 * width;
    pack_complex_strided<T>(step, width, lines[k], 1, 0, count, 1);
  }
}

template <typename T>
static void write_complex_tile(const TileWrite& t) {
  T alpha = static_cast<T>(t.alpha), beta = static_cast<T>(t.beta);
  for (int64_t i = 0; i < t.rows; ++i) {
    auto sums = static_cast<const Complex<T>*>(t.sums) + i * t.sums_stride;
    Complex<T>* out =
        static_cast<Complex<T>*>(t.out) + (t.row_offsets ? t.row_offsets[i] : i * t.row_stride);
    auto c = static_cast<const Complex<T>*>(t.c);
    if (c) c += i * t.c_row_stride;
    for (int64_t j = 0; j < t.cols; ++j) {
      Complex<T> add = c ? c[j * t.c_col_stride] : Complex<T>{0, 0};
      Complex<T> sum = sums[j];
      out[j * t.col_stride] = {alpha * sum.re + (c ? beta * add.re : 0),
                               alpha * sum.im + (c ? beta * add.im : 0)};
    }
  }
}

template <typename T>
static constexpr GemmKernels make_complex_kernels() {
  return {
      .rows = kComplexRows,
      .lanes = kLanes<T>,
      .unit = 1,
      .source_size = sizeof(Complex<T>),
      .packed_size = sizeof(Complex<T>),
      .sum_size = sizeof(Complex<T>),
      .direct = true,
      .micro = complex_table<T>.kernels,
      .pack_rows = pack_complex_rows<T>,
      .pack_lines = pack_complex_lines<T>,
      .pack_strided = pack_complex_strided<T>,
      .write = write_complex_tile<T>,
  };
}

}  // namespace simd

const ComplexGemmKernels& complex_gemm_kernels() {
  static constexpr ComplexGemmKernels table = {simd::make_complex_kernels<float>(),
                                               simd::make_complex_kernels<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
