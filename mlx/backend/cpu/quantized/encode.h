// The kernels from floats to codes. A code takes a byte while it is worked on; packing bytes into
// streams of bits is a kernel of its own.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Groups of `size` values, one after the other. */
struct ValueGroups {
  int64_t count;
  int size;
};

struct EncodeTable {
  void (*encode_affine)(const float* values, ValueGroups groups, int bits, uint8_t* codes,
                        float* scales, float* biases);
  /** By mode without affine, and by storage of the values: f32, f16, bf16. `global` divides. */
  void (*encode_float[3][3])(const float* values, ValueGroups groups, float global, uint8_t* codes,
                             uint8_t* scales);
  /** `count` codes, a multiple of eight, by their bits. */
  void (*pack[9])(const uint8_t* codes, int64_t count, uint8_t* bytes);
};

MLX_ISA_TABLE(EncodeTable, encode_table)

}  // namespace mlx::core::cpu
