// Transposes of small blocks between a source in memory and a buffer in cache. Four-byte elements
// go through registers in squares; the other sizes take a plain loop over cache-sized blocks.
#include "mlx/backend/cpu/transpose.h"

#include "mlx/backend/cpu/words.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename T>
void transpose_plain(T* out, int64_t out_stride, const T* in, int64_t in_stride, int64_t rows,
                     int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[c * out_stride + r] = in[r * in_stride + c];
  }
}

#ifdef __AVX2__
/** An 8 by 8 square: three rounds of exchanges at distance 1, 2 and 4. */
inline void transpose_square(float* out, int64_t out_stride, const float* in, int64_t in_stride) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(in + i * in_stride);
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

void transpose4(void* out, int64_t out_stride, const void* in, int64_t in_stride, int64_t rows,
                int64_t columns) {
  auto* o = static_cast<float*>(out);
  auto* x = static_cast<const float*>(in);
  int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (int64_t r = 0; r < whole_rows; r += 8) {
    for (int64_t c = 0; c < whole_columns; c += 8) {
      transpose_square(o + c * out_stride + r, out_stride, x + r * in_stride + c, in_stride);
    }
  }
  // The right and lower borders, moved as integers.
  auto* oi = static_cast<uint32_t*>(out);
  auto* xi = static_cast<const uint32_t*>(in);
  transpose_plain(oi + whole_columns * out_stride, out_stride, xi + whole_columns, in_stride,
                  whole_rows, columns - whole_columns);
  transpose_plain(oi + whole_rows, out_stride, xi + whole_rows * in_stride, in_stride,
                  rows - whole_rows, columns);
}
#endif

template <typename T>
void transpose_rows(void* out, int64_t out_stride, const void* in, int64_t in_stride, int64_t rows,
                    int64_t columns) {
  // Squares of 16 keep the lines of both sides in cache whatever their strides.
  constexpr int64_t side = 16;
  for (int64_t r = 0; r < rows; r += side) {
    for (int64_t c = 0; c < columns; c += side) {
      transpose_plain(static_cast<T*>(out) + c * out_stride + r, out_stride,
                      static_cast<const T*>(in) + r * in_stride + c, in_stride,
                      rows - r < side ? rows - r : side, columns - c < side ? columns - c : side);
    }
  }
}

}  // namespace

const TransposeKernels& transpose_kernels() {
#ifdef __AVX2__
  static const TransposeKernels table = {{transpose_rows<uint8_t>, transpose_rows<uint16_t>,
                                          transpose4, transpose_rows<uint64_t>,
                                          transpose_rows<WideWord>}};
#else
  static const TransposeKernels table = {{transpose_rows<uint8_t>, transpose_rows<uint16_t>,
                                          transpose_rows<uint32_t>, transpose_rows<uint64_t>,
                                          transpose_rows<WideWord>}};
#endif
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
