// Gemm kernels of complex64: panels keep real and imaginary parts apart, so that a tile is four
// real products. Sums are written interleaved.
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

struct Complex {
  float re, im;
};

#if defined(__AVX512F__)
constexpr int kComplexRows = 6;
#else
constexpr int kComplexRows = 2;
#endif

static inline void store_complex(Complex* c, Vec<float> re, Vec<float> im, bool accumulate) {
  for (int i = 0; i < kLanes<float>; ++i) {
    c[i].re = re[i] + (accumulate ? c[i].re : 0.0f);
    c[i].im = im[i] + (accumulate ? c[i].im : 0.0f);
  }
}

template <int Rows, int Vectors>
static void complex_micro_kernel(int64_t steps, const void* a_panel, const void* b_panel,
                                 void* c_tile, int64_t ldc, bool accumulate) {
  constexpr int lanes = kLanes<float>, width = Vectors * lanes;
  auto a = static_cast<const float*>(a_panel);
  auto b = static_cast<const float*>(b_panel);
  Vec<float> re[Rows][Vectors] = {}, im[Rows][Vectors] = {};
  for (int64_t k = 0; k < steps; ++k, a += 2 * Rows, b += 2 * width) {
    Vec<float> b_re[Vectors], b_im[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      b_re[v] = load(b + v * lanes);
      b_im[v] = load(b + width + v * lanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      Vec<float> a_re = splat(a[r]), a_im = splat(a[Rows + r]), minus = -a_im;
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        re[r][v] = fma<float>(minus, b_im[v], fma<float>(a_re, b_re[v], re[r][v]));
        im[r][v] = fma<float>(a_im, b_re[v], fma<float>(a_re, b_im[v], im[r][v]));
      }
    }
  }
  auto c = static_cast<Complex*>(c_tile);
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) {
      store_complex(c + r * ldc + v * lanes, re[r][v], im[r][v], accumulate);
    }
  }
}

template <int... I>
static constexpr MicroTable<Complex, kComplexRows> make_complex_table(
    std::integer_sequence<int, I...>) {
  return {{complex_micro_kernel<I + 1, 1>..., complex_micro_kernel<I + 1, 2>...}};
}

static constexpr auto complex_table =
    make_complex_table(std::make_integer_sequence<int, kComplexRows>{});

// Splits one value into its place w of a packed step.
static inline void put_parts(float* step, int width, int w, Complex z) {
  step[w] = z.re;
  step[width + w] = z.im;
}

static void pack_complex_strided(void* panel, int width, const void* source, int64_t width_stride,
                                 int64_t depth_stride, int count, int64_t depth) {
  for (int64_t k = 0; k < depth; ++k) {
    auto from = static_cast<const Complex*>(source) + k * depth_stride;
    float* step = static_cast<float*>(panel) + k * 2 * width;
    for (int w = 0; w < count; ++w) put_parts(step, width, w, from[w * width_stride]);
    for (int w = count; w < width; ++w) put_parts(step, width, w, {0, 0});
  }
}

static void pack_complex_rows(void* panel, int width, const void* const* rows, int count,
                              int64_t depth) {
  for (int w = 0; w < width; ++w) {
    auto row = static_cast<const Complex*>(w < count ? rows[w] : nullptr);
    for (int64_t k = 0; k < depth; ++k) {
      put_parts(static_cast<float*>(panel) + k * 2 * width, width, w, row ? row[k] : Complex{0, 0});
    }
  }
}

static void pack_complex_lines(void* panel, int width, const void* const* lines, int count,
                               int64_t depth) {
  for (int64_t k = 0; k < depth; ++k) {
    float* step = static_cast<float*>(panel) + k * 2 * width;
    pack_complex_strided(step, width, lines[k], 1, 0, count, 1);
  }
}

static void write_complex_tile(const TileWrite& t) {
  float alpha = static_cast<float>(t.alpha), beta = static_cast<float>(t.beta);
  for (int64_t i = 0; i < t.rows; ++i) {
    auto sums = static_cast<const Complex*>(t.sums) + i * t.sums_stride;
    Complex* out =
        static_cast<Complex*>(t.out) + (t.row_offsets ? t.row_offsets[i] : i * t.row_stride);
    auto c = static_cast<const Complex*>(t.c);
    if (c) c += i * t.c_row_stride;
    for (int64_t j = 0; j < t.cols; ++j) {
      Complex add = c ? c[j * t.c_col_stride] : Complex{0, 0};
      Complex sum = sums[j];
      out[j * t.col_stride] = {alpha * sum.re + (c ? beta * add.re : 0),
                               alpha * sum.im + (c ? beta * add.im : 0)};
    }
  }
}

}  // namespace simd

const GemmKernels& complex_gemm_kernels() {
  using namespace simd;
  static constexpr GemmKernels table = {
      .rows = kComplexRows,
      .lanes = kLanes<float>,
      .unit = 1,
      .source_size = sizeof(Complex),
      .packed_size = sizeof(Complex),
      .sum_size = sizeof(Complex),
      .direct = true,
      .micro = complex_table.kernels,
      .pack_rows = pack_complex_rows,
      .pack_lines = pack_complex_lines,
      .pack_strided = pack_complex_strided,
      .write = write_complex_tile,
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
