// The kernels under products with quantised matrices, one set per instruction set level. A matrix
// is read as rows of codes; every group of neighbours has a scale and perhaps a bias, and stands
// for scale * code + bias.
//
// Where the codes are small integers, activations are rounded to 16 bits with a scale for each
// group, so that products are sums of integers, which are exact: twice the multiplications of f32
// in a vector, and nothing but the rounding of x is lost.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/gemm/kernels.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

// What a code stands for: an unsigned integer of so many bits, or a small float.
enum class Code { u1, u2, u3, u4, u5, u6, u8, e2m1, e4m3 };
constexpr int kCodes = 9;

// How scales (and biases) are stored; e8m0 are powers of two.
enum class Scale { f32, f16, bf16, e8m0, e4m3 };

// Codes are taken in blocks of this many.
constexpr int kCodeBlock = 32;
// Rows of rounded activations are padded to a multiple of this, with zeros.
constexpr int kSplitBlock = 128;
// Scales and sums of a row of x are padded to a multiple of this, with zeros.
constexpr int kGroupPadding = 16;

// Rows of a quantised matrix, one after the other.
struct QuantizedRows {
  const uint8_t* codes;
  int64_t row_bytes;
  const void* scales;
  const void* biases;  // may be null
  int64_t row_groups;  // from the scales of a row to those of the next
  int64_t depth;       // codes of a row, a multiple of the group
  Scale scale;
  int group;  // 16, 32, 64 or 128
};

// Rows of x as the kernels take them. Row r starts at r * stride; its groups at r * group_stride.
struct Activations {
  const float* values;   // as floats
  const int16_t* codes;  // or as integers, times `scales`
  const float* scales;
  const float* sums;  // of each group
  int64_t stride, group_stride;
};

// Rows of w are read as so many streams at a time, far apart: memory sends several faster than one.
constexpr int kStreams = 4;

// sums[r][j] = sum over k of x[r][k] * w[j][k] for rows r and rows j of w: `count` rows from
// c * apart on, for each stream c.
struct FewRowsProduct {
  QuantizedRows w;
  Activations x;
  int rows;
  int streams;  // up to kStreams
  int64_t count, apart;
  float* sums;
  int64_t sums_stride;
};

// Rounds a row of x: codes[k] * scales[k / group] is within 1.004 * 2^-16 of the largest of its
// group (and within 2^-120), and sums are those of the rounded values. No code has a magnitude
// above 127 * 257, so that it has two signed digits of a byte. Returns false where x has infinities
// or NaN. `unit` is a factor of the scales alone.
struct RoundedRow {
  const void* x;
  int64_t depth;
  int group;
  float unit;
  bool paired;  // even, then odd codes of each block
  int16_t* codes;
  float* scales;
  float* sums;
};

// Products of rounded activations. Kernels of few rows take codes of activations in order, or as
// `paired` says, or, where `split` is there, as it rearranges `depth` (whole blocks) of them in
// place. Gemm kernels are by group of 16, 32, 64, 128: a step of a panel
// of width W holds a group, for each pair along the depth W pairs of int16, then W scales and W
// biases (of B) or sums (of A) as floats. The sums are floats; packers and writers are the
// caller's.
struct RoundedKernels {
  void (*few_rows[kCodes])(const FewRowsProduct& product);  // null where codes are no integers
  GemmKernels panels[4];
  void (*split[kCodes])(int16_t* codes, int64_t depth);
};

struct QuantizedKernels {
  void (*few_rows[kCodes])(const FewRowsProduct& product);  // of activations as floats
  // Steps of a panel of B: `count` <= width rows of w, from code `begin` on. Null as above.
  void (*pack_rows[kCodes])(void* panel, int width, const QuantizedRows& w, int count,
                            int64_t begin, int64_t depth);
  // The same of A, whose width is `count`: rows of x from the first on.
  void (*pack_activations)(void* panel, const Activations& x, int group, int count, int64_t begin,
                           int64_t depth);
  // out[j] = scale * code + bias of `count` codes of a row from code `begin` on, in one rounding.
  void (*widen[kCodes])(const QuantizedRows& w, int64_t begin, int64_t count, float* out);
  // The same as it is stored in f32, f16 or bf16: the product is rounded, then the sum, as if each
  // were an operation of its own. `factor` multiplies the scales.
  void (*dequantize[kCodes])(const QuantizedRows& w, float factor, Dtype::Val dtype, void* out);
  bool (*round_f16)(const RoundedRow& row);
  bool (*round_bf16)(const RoundedRow& row);
  // Sums of the groups of a row of floats.
  void (*sum_groups)(const float* x, int64_t depth, int group, float* sums);
};

// Panels of B for AMX (see gemm/kernels.h) of values that are rounded to bf16 once: `count` <=
// width rows of w, from code `begin` on, a multiple of 32. Only to be called when has_amx_bf16().
struct TilePackers {
  void (*pack[kCodes])(void* panel, int width, const QuantizedRows& w, int count, int64_t begin,
                       int64_t depth);
};

MLX_ISA_TABLE(QuantizedKernels, quantized_kernels)
MLX_ISA_TABLE(RoundedKernels, rounded_kernels)
// With the AVX512-VNNI dot product; only to be called when has_avx512_vnni().
MLX_ISA_TABLE(RoundedKernels, rounded_vnni_kernels)
MLX_ISA_TABLE(TilePackers, tile_packers)

}  // namespace mlx::core::cpu
