// The kernels under the gemm engine as plain tables, one set per instruction set level: micro
// kernels over packed panels, packers that fill panels, and the writer of finished tiles.
//
// A panel of width W holds, for every step k of the depth, W neighbouring values. A kernel with
// unit 2 (pairs for the bf16 dot product) takes two steps of the depth at a time: a panel then
// holds for every pair of steps W pairs. Complex panels hold W real parts, then W imaginary parts.
// AMX takes 32 steps at a time, and panels of A differ from those of B.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// c[i * ldc + j] (+)= sum over k of a[k][i] * b[k][j] for one tile. `steps` is the depth divided by
// the unit, rounded up; c holds the type of the sums.
using MicroKernel = void (*)(int64_t steps, const void* a, const void* b, void* c, int64_t ldc,
                             bool accumulate);

// The same with A where it lies: row i starts at a + i * lda, in elements.
using PlacedKernel = void (*)(int64_t steps, const void* a, int64_t lda, const void* b, void* c,
                              int64_t ldc, bool accumulate);

// A finished tile: out = alpha * sums + beta * c. Strides in elements; c may be null. With
// `row_offsets`, row i of the output starts at out + row_offsets[i] instead of i * row_stride.
struct TileWrite {
  const void* sums;
  int64_t sums_stride;
  int64_t rows, cols;
  void* out;
  int64_t row_stride, col_stride;
  const int64_t* row_offsets;
  const void* c;
  int64_t c_row_stride, c_col_stride;
  double alpha, beta;
};

// Micro kernels of tiles of up to `rows` rows and `vectors` vectors of columns.
struct TileShape {
  int rows = 0, vectors = 0;
  // For v vectors and r rows: micro[(v - 1) * rows + r - 1]. The second may be null.
  const MicroKernel* micro = nullptr;
  const PlacedKernel* placed = nullptr;

  int64_t index(int64_t v, int64_t r) const { return (v - 1) * rows + r - 1; }
};

struct GemmKernels {
  int rows;         // widest panel of A; panels of A have any width from 1 to this
  int lanes;        // panels of B have a width of one or two times this
  int unit;         // depth steps per packed step: 1, 2 for pairs, 32 for tiles
  int source_size;  // bytes of an element of A, B and the output
  int packed_size;  // bytes of one panel entry of one packed step
  int sum_size;     // bytes of an element of the sums
  bool direct;      // sums and output have the same bits: kernels may add into the output itself
  const MicroKernel* micro;  // for v vectors and r rows: micro[(v - 1) * rows + r - 1]

  // Fill `depth` steps of a panel from `count` <= width rows that are contiguous along the depth.
  // Narrow panels may be overwritten for up to one vector past their end.
  void (*pack_rows)(void* panel, int width, const void* const* rows, int count, int64_t depth);
  // The same from one pointer for every step of the depth, contiguous along the width.
  void (*pack_lines)(void* panel, int width, const void* const* lines, int count, int64_t depth);
  // Whole panels that lie side by side in lines, `panel_bytes` apart when packed. Each may be
  // overwritten likewise. May be null.
  void (*pack_across)(void* panels, int width, int64_t panel_bytes, int64_t count,
                      const void* lines, int64_t line_stride, int64_t depth);
  // Like pack_rows from any strides, in elements.
  void (*pack_strided)(void* panel, int width, const void* source, int64_t width_stride,
                       int64_t depth_stride, int count, int64_t depth);
  void (*write)(const TileWrite& tile);

  int row_unit = 1;    // panels of A have a multiple of so many rows, of which some may be padding
  bool tiles = false;  // micro kernels need the thread's AmxTiles
  const GemmKernels* left = nullptr;  // whose packers fill panels of A, if they differ
  TileShape others[2] = {};           // shapes that suit some sizes of the output better

  const GemmKernels& for_left() const { return left ? *left : *this; }
};

struct RealGemmKernels {
  GemmKernels f32, f64, f16, bf16;
};

struct IntegerGemmKernels {
  GemmKernels boolean, i8, u8, i16, u16, i32, u32, i64, u64;
};

struct ComplexGemmKernels {
  GemmKernels c64, c128;
};

MLX_ISA_TABLE(RealGemmKernels, real_gemm_kernels)
MLX_ISA_TABLE(IntegerGemmKernels, integer_gemm_kernels)
MLX_ISA_TABLE(ComplexGemmKernels, complex_gemm_kernels)
// bf16 by the AVX512-BF16 dot product; only to be called when has_avx512_bf16().
MLX_ISA_TABLE(GemmKernels, bf16_dot_gemm_kernels)
// bf16 by AMX; only to be called when has_amx_bf16().
MLX_ISA_TABLE(GemmKernels, bf16_amx_gemm_kernels)

}  // namespace mlx::core::cpu
