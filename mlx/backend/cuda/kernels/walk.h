// From the number of an element to its places in memory, by strides.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"

namespace mlx::core::kernels {

template <typename Index>
struct UnsignedOf {
  using type = uint32_t;
};
template <>
struct UnsignedOf<int64_t> {
  using type = uint64_t;
};

/** at[x] = the offset of element `i` of the row-major `shape` by strides[x]. */
template <typename Index, int rank, int lists>
MLX_FN void find_places(Index i, const int64_t (&shape)[rank],
                        const int64_t (&strides)[lists][rank], Index (&at)[lists]) {
  using Unsigned = typename UnsignedOf<Index>::type;
  Unsigned rest = static_cast<Unsigned>(i);
#pragma unroll
  for (int x = 0; x < lists; x++) at[x] = 0;
#pragma unroll
  for (int d = rank - 1; d >= 0; d--) {
    Unsigned next = d > 0 ? rest / static_cast<Unsigned>(shape[d]) : 0;
    Index along = static_cast<Index>(rest - next * static_cast<Unsigned>(shape[d]));
    if (d == 0) along = static_cast<Index>(rest);
    rest = next;
#pragma unroll
    for (int x = 0; x < lists; x++) at[x] += along * static_cast<Index>(strides[x][d]);
  }
}

/** The number of this thread among all of a one-dimensional grid. */
template <typename Index>
MLX_FN Index thread_number() {
  return static_cast<Index>(blockIdx.x) * static_cast<Index>(blockDim.x) +
         static_cast<Index>(threadIdx.x);
}

}  // namespace mlx::core::kernels
