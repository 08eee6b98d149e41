// Choosing how a row is held: by a warp if that suffices, in pieces of 16 bytes if it can be.
#include "mlx/backend/cuda/held_row.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t piece = 16;
constexpr int most_packs = 4;

}  // namespace

RowVariant row_variant(Dtype dtype, int64_t length, std::initializer_list<const void*> addresses) {
  auto itemsize = static_cast<int64_t>(dtype.size());
  uint64_t all = 0;
  for (const void* address : addresses) {
    all |= reinterpret_cast<uint64_t>(address);
  }
  bool wide = all % piece == 0 && length * itemsize % piece == 0;
  int width = wide ? static_cast<int>(piece / itemsize) : 1;
  for (int lanes : {32, row_threads}) {
    int64_t packs = (length + lanes * width - 1) / (lanes * width);
    if (packs <= most_packs) {
      return {lanes, width, static_cast<int>(packs)};
    }
  }
  return {row_threads, width, 0};
}

std::string to_string(RowVariant variant) {
  return std::to_string(variant.lanes) + ", " + std::to_string(variant.width) + ", " +
         std::to_string(variant.packs);
}

}  // namespace mlx::core::cuda
