// The kernels between floats and codes. A code takes a byte while it is worked on; packing bytes
// into streams of bits and back is a kernel of its own.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Groups of `size` values, one after the other. */
struct ValueGroups {
  int64_t count;
  int size;
};

struct QuantizeTable {
  void (*encode_affine)(const float* values, ValueGroups groups, int bits, uint8_t* codes,
                        float* scales, float* biases);
  /** By mode without affine, and by storage of the values: f32, f16, bf16. `global` divides. */
  void (*encode_float[3][3])(const float* values, ValueGroups groups, float global, uint8_t* codes,
                             uint8_t* scales);
  /** By storage of scales and biases, to which products and sums are rounded. */
  void (*decode_affine[3])(const uint8_t* codes, ValueGroups groups, const float* scales,
                           const float* biases, float* values);
  /** By mode without affine. `global` multiplies. */
  void (*decode_float[3])(const uint8_t* codes, ValueGroups groups, const uint8_t* scales,
                          float global, float* values);
  /** `count` codes, a multiple of eight, by their bits. */
  void (*pack[9])(const uint8_t* codes, int64_t count, uint8_t* bytes);
  void (*unpack[9])(const uint8_t* bytes, int64_t count, uint8_t* codes);
};

MLX_ISA_TABLE(QuantizeTable, quantize_table)

}  // namespace mlx::core::cpu
