// Gemm kernels of complex64 and complex128: panels keep real and imaginary parts apart, so that a
// tile is four real products. Sums are written interleaved. In memory a complex number counts as
// two reals.
#include "mlx/backend/cpu/gemm/complex_parts.h"
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

// rows x 2 vectors of both parts of sums, 4 of B, 2 of A.
#if defined(__AVX512F__)
constexpr int kComplexRows = 6;
#else
constexpr int kComplexRows = 2;
#endif

template <typename T>
static inline void store_numbers(T* c, Vec<T> re, Vec<T> im, bool accumulate) {
  join_parts<T>(re, im);
  store<T>(c, accumulate ? load(c) + re : re);
  store<T>(c + kLanes<T>, accumulate ? load(c + kLanes<T>) + im : im);
}

template <typename T, int Rows, int Vectors>
static void complex_micro_kernel(int64_t steps, const void* a_panel, const void* b_panel,
                                 void* c_tile, int64_t ldc, bool accumulate) {
  constexpr int lanes = kLanes<T>, width = Vectors * lanes;
  auto a = static_cast<const T*>(a_panel);
  auto b = static_cast<const T*>(b_panel);
  auto c = static_cast<T*>(c_tile);
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < 2 * Vectors; ++v) __builtin_prefetch(c + 2 * r * ldc + v * lanes, 1);
  }
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
      Vec<T> a_re = splat(a[r]), a_im = splat(a[Rows + r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        re[r][v] = fma<T>(a_re, b_re[v], re[r][v]);
        im[r][v] = fma<T>(a_re, b_im[v], im[r][v]);
      }
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        re[r][v] = fnma<T>(a_im, b_im[v], re[r][v]);
        im[r][v] = fma<T>(a_im, b_re[v], im[r][v]);
      }
      // As long as these live, their registers are not taken for sums, which would then be moved.
      asm("" : : "x"(a_re), "x"(a_im));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      store_numbers<T>(c + 2 * (r * ldc + v * lanes), re[r][v], im[r][v], accumulate);
    }
  }
}

template <typename T>
struct ComplexMicroTable {
  MicroKernel kernels[2 * kComplexRows];
};

template <typename T, int... I>
static constexpr ComplexMicroTable<T> make_complex_table(std::integer_sequence<int, I...>) {
  return {{complex_micro_kernel<T, I + 1, 1>..., complex_micro_kernel<T, I + 1, 2>...}};
}

template <typename T>
static constexpr auto complex_table =
    make_complex_table<T>(std::make_integer_sequence<int, kComplexRows>{});

template <typename T>
static void pack_complex_strided(void* panel, int width, const void* source, int64_t width_stride,
                                 int64_t depth_stride, int count, int64_t depth) {
  T* step = static_cast<T*>(panel);
  for (int64_t k = 0; k < depth; ++k, step += 2 * width) {
    const T* from = static_cast<const T*>(source) + 2 * k * depth_stride;
    for (int w = 0; w < width; ++w) {
      const T* number = from + 2 * w * width_stride;
      step[w] = w < count ? number[0] : T(0);
      step[width + w] = w < count ? number[1] : T(0);
    }
  }
}

// Along the depth parts alternate as steps of panels do.
template <typename T>
static void pack_complex_rows(void* panel, int width, const void* const* rows, int count,
                              int64_t depth) {
  pack_rows<Element<T>, T>(panel, width, rows, count, 2 * depth);
}

template <typename T>
static inline Vec<T> load_parts(const T* p, int n) {
  constexpr int lanes = kLanes<T>;
  return n >= lanes ? load(p) : n > 0 ? load_some<Element<T>>(p, n) : Vec<T>{};
}

template <typename T>
static void pack_complex_lines(void* panel, int width, const void* const* lines, int count,
                               int64_t depth) {
  constexpr int lanes = kLanes<T>;
  for (int64_t k = 0; k < depth; ++k) {
    auto line = static_cast<const T*>(lines[k]);
    T* step = static_cast<T*>(panel) + 2 * k * width;
    for (int w = 0; w < width; w += lanes) {
      Vec<T> re = load_parts(line + 2 * w, 2 * (count - w));
      Vec<T> im = load_parts(line + 2 * w + lanes, 2 * (count - w) - lanes);
      split_parts<T>(re, im);
      store<T>(step + w, re);
      store<T>(step + width + w, im);
    }
  }
}

template <typename T>
static inline void write_numbers(const TileWrite& t, const T* sums, const T* c, T* out) {
  T alpha = static_cast<T>(t.alpha), beta = static_cast<T>(t.beta);
  for (int64_t j = 0; j < t.cols; ++j) {
    for (int part = 0; part < 2; ++part) {
      T add = c ? beta * c[2 * j * t.c_col_stride + part] : T(0);
      out[2 * j * t.col_stride + part] = alpha * sums[2 * j + part] + add;
    }
  }
}

template <typename T>
static void write_complex_tile(const TileWrite& t) {
  bool contiguous = t.col_stride == 1 && (!t.c || t.c_col_stride == 1);
  TileWrite parts = t;
  parts.cols = 2 * t.cols;
  for (int64_t i = 0; i < t.rows; ++i) {
    auto sums = static_cast<const T*>(t.sums) + 2 * i * t.sums_stride;
    T* out = static_cast<T*>(t.out) + 2 * (t.row_offsets ? t.row_offsets[i] : i * t.row_stride);
    const T* c = t.c ? static_cast<const T*>(t.c) + 2 * i * t.c_row_stride : nullptr;
    if (contiguous) {
      write_row<Element<T>, T>(sums, parts, out, c);
    } else {
      write_numbers<T>(t, sums, c, out);
    }
  }
}

template <typename T>
static constexpr GemmKernels complex_kernels() {
  GemmKernels kernels = {};
  kernels.rows = kComplexRows;
  kernels.lanes = kLanes<T>;
  kernels.unit = 1;
  kernels.source_size = kernels.packed_size = kernels.sum_size = 2 * sizeof(T);
  kernels.direct = true;
  kernels.micro = complex_table<T>.kernels;
  kernels.pack_rows = pack_complex_rows<T>;
  kernels.pack_lines = pack_complex_lines<T>;
  kernels.pack_strided = pack_complex_strided<T>;
  kernels.write = write_complex_tile<T>;
  return kernels;
}

}  // namespace simd

const ComplexGemmKernels& complex_gemm_kernels() {
  static constexpr ComplexGemmKernels table = {simd::complex_kernels<float>(),
                                               simd::complex_kernels<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
