// Gemm kernels of complex numbers. A part of a number of A times numbers of B, which lie as in
// memory, has sums of its own: those of real parts and those of imaginary parts, the latter turned
// by a right angle, are the product's. That is four real products, and nothing is taken apart. In
// memory a complex number counts as two reals.
#include <utility>

#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kComplexRows = kRegisterRows / 2;

template <typename T>
struct ComplexMath : PlainMath<T> {
  static constexpr int parts = 2;

  // a + i b
  static inline Vec<T> join(const Vec<T>& a, const Vec<T>& b) {
    return [&]<int... J>(std::integer_sequence<int, J...>) {
      constexpr Vec<typename IndexOf<sizeof(T)>::type> swapped = {(J ^ 1)...};
      constexpr Vec<T> sign = {(J % 2 ? T(1) : T(-1))...};
      return fma<T>(__builtin_shuffle(b, swapped), sign, a);
    }
    (std::make_integer_sequence<int, kLanes<T>>{});
  }
};

template <typename T>
struct Number {
  T re, im;
};

template <typename T>
static void pack_complex_strided(void* panel, int width, const void* source, int64_t width_stride,
                                 int64_t depth_stride, int count, int64_t depth) {
  auto to = static_cast<Number<T>*>(panel);
  for (int64_t k = 0; k < depth; ++k, to += width) {
    auto from = static_cast<const Number<T>*>(source) + k * depth_stride;
    for (int w = 0; w < count; ++w) to[w] = from[w * width_stride];
    for (int w = count; w < width; ++w) to[w] = {};
  }
}

// Numbers of eight bytes are moved as integers.
template <typename T>
static void pack_complex_rows(void* panel, int width, const void* const* rows, int count,
                              int64_t depth) {
  if constexpr (sizeof(T) == 4) {
    pack_rows<Element<int64_t>, int64_t>(panel, width, rows, count, depth);
  } else {
    auto to = static_cast<Number<T>*>(panel);
    for (int w = 0; w < width; ++w) {
      auto row = static_cast<const Number<T>*>(w < count ? rows[w] : nullptr);
      for (int64_t k = 0; k < depth; ++k) to[k * width + w] = row ? row[k] : Number<T>{};
    }
  }
}

template <typename T>
static void pack_complex_lines(void* panel, int width, const void* const* lines, int count,
                               int64_t depth) {
  pack_lines<Element<T>, T>(panel, 2 * width, lines, 2 * count, depth);
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
  kernels.lanes = kLanes<T> / 2;
  kernels.unit = 1;
  kernels.source_size = kernels.packed_size = kernels.sum_size = 2 * sizeof(T);
  kernels.direct = true;
  kernels.micro = micro_table<ComplexMath<T>, kComplexRows, 2>.kernels;
  kernels.pack_rows = pack_complex_rows<T>;
  kernels.pack_lines = pack_complex_lines<T>;
  kernels.pack_strided = pack_complex_strided<T>;
  kernels.write = write_complex_tile<T>;
#if defined(__AVX512F__)
  kernels.others[0] = shape<ComplexMath<T>, 3, 4, true>();
  kernels.others[1] = shape<ComplexMath<T>, 4, 3, true>();
#endif
  return kernels;
}

}  // namespace simd

const ComplexGemmKernels& complex_gemm_kernels() {
  static constexpr ComplexGemmKernels table = {simd::complex_kernels<float>(),
                                               simd::complex_kernels<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
