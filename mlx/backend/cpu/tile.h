// Tiles: short contiguous runs of values of a compute type in cache. Kernels of the row families
// (reduce, scan, norm, softmax) work on tiles only; loads and stores bring any stride and any
// storage dtype to that form and back.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

/** out[i * out_stride] = in[i * in_stride] for i < n; strides in elements. */
using TileCopy = void (*)(const void* in, int64_t in_stride, void* out, int64_t out_stride,
                          int64_t n);

struct TileTable {
  TileCopy plain[5];               // by log2 of the element size
  TileCopy widen[Dtype::count];    // half types to float32, small integers to 32 bits; else null
  TileCopy narrow[Dtype::count];   // float32 to half types; else null
  TileCopy nonzero[Dtype::count];  // to bytes 0 and 1
};

MLX_ISA_TABLE(TileTable, tile_table)

/** Elements of a tile: large enough to hide calls, small enough for the first cache. */
inline constexpr int64_t tile_size = 2048;

/** Copies elements of any dtype unchanged. */
TileCopy tile_copy(Dtype dtype);
/** From storage to the compute type: float32 for half types, 32 bits for small integers. */
TileCopy tile_load_wide(Dtype dtype);
/** From storage to float32 for half types, otherwise unchanged. */
TileCopy tile_load(Dtype dtype);
/** Inverse of tile_load. */
TileCopy tile_store(Dtype dtype);

/** The dtype that float kernels compute in: float32 for the half types, otherwise itself. */
inline Dtype compute_dtype(Dtype dtype) {
  return dtype == float16 || dtype == bfloat16 ? float32 : dtype;
}

}  // namespace mlx::core::cpu
