// Writing updates into memory that holds values: what slice updates and scatters do for each row.
#pragma once

#include <cstdint>

#include "mlx/array.h"
#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cpu {

/** target[i] = mode(target[i], update[i]) for n elements; strides in elements. A value that comes
 *  twice in the target is combined in order of i. */
using CombineRow = void (*)(void* target, int64_t target_stride, const void* update,
                            int64_t update_stride, int64_t n);

/** target[offsets[i]] = mode(target[offsets[i]], update[i * update_stride]) in order of i, for the
 *  offsets in [low, high): the others are somebody else's. */
using CombineElements = void (*)(void* target, const int64_t* offsets, int64_t n,
                                 const void* update, int64_t update_stride, int64_t low,
                                 int64_t high);

struct CombineTable {
  // Both by UpdateMode and Dtype::Val.
  CombineRow rows[5][Dtype::count];
  CombineElements elements[5][Dtype::count];
};

MLX_ISA_TABLE(CombineTable, combine_table)

inline CombineRow combine_row(UpdateMode mode, Dtype dtype) {
  return combine_table().rows[static_cast<int>(mode)][static_cast<int>(dtype.val())];
}

inline CombineElements combine_elements(UpdateMode mode, Dtype dtype) {
  return combine_table().elements[static_cast<int>(mode)][static_cast<int>(dtype.val())];
}

/** Makes `out` hold the elements of `source`, in its buffer where nobody else needs that. */
void take_over(const array& source, array& out);

/** Combines an update of any layout into a target whose elements are distinct, with threads. */
void combine_strided(UpdateMode mode, Dtype dtype, void* target, const Strides& target_strides,
                     const void* update, const Strides& update_strides, const Shape& shape);

}  // namespace mlx::core::cpu
