// Choice of the tile loads and stores by dtype.
#include "mlx/backend/cpu/tile.h"

#include <bit>

namespace mlx::core::cpu {

namespace {

int row_of(Dtype dtype) { return static_cast<int>(dtype.val()); }

bool is_half(Dtype dtype) { return dtype == float16 || dtype == bfloat16; }

}  // namespace

TileCopy tile_copy(Dtype dtype) { return tile_table().plain[std::countr_zero(dtype.size())]; }

TileCopy tile_load_wide(Dtype dtype) {
  auto widen = tile_table().widen[row_of(dtype)];
  return widen ? widen : tile_copy(dtype);
}

TileCopy tile_load(Dtype dtype) {
  return is_half(dtype) ? tile_table().widen[row_of(dtype)] : tile_copy(dtype);
}

TileCopy tile_store(Dtype dtype) {
  return is_half(dtype) ? tile_table().narrow[row_of(dtype)] : tile_copy(dtype);
}

}  // namespace mlx::core::cpu
