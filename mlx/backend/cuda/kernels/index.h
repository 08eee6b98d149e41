// Positions given by index arrays. Every index is checked before anything is read or written by it:
// one outside its array is reported, and its element left alone.
#pragma once

#include "mlx/backend/cuda/kernels/gather_rows_call.h"
#include "mlx/backend/cuda/kernels/index_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

MLX_FN int64_t load_index(const IndexSource& source, int64_t at) {
  switch (source.kind) {
    case 0:
      return 0;
    case 1:
      return static_cast<const uint8_t*>(source.data)[at];
    case 2:
      return static_cast<const uint16_t*>(source.data)[at];
    case 4:
      return static_cast<const uint32_t*>(source.data)[at];
    case -1:
      return static_cast<const int8_t*>(source.data)[at];
    case -2:
      return static_cast<const int16_t*>(source.data)[at];
    case -4:
      return static_cast<const int32_t*>(source.data)[at];
    case -8:
      return static_cast<const int64_t*>(source.data)[at];
    default: {
      int64_t x = static_cast<const int64_t*>(source.data)[at];
      return x < 0 ? INT64_MIN : x;  // past 2^63, where no array reaches
    }
  }
}

/** Adds the offset of the index at `at`; false, after a report, if it is outside. */
MLX_FN bool add_index(const IndexSource& source, int64_t at, int64_t& offset, Fault* fault,
                      FaultOp op) {
  int64_t given = load_index(source, at);
  int64_t index = given < 0 ? given + source.extent : given;
  if (index < 0 || index > source.extent - source.slice) {
    report(fault, op, given, source.axis, source.extent);
    return false;
  }
  offset += index * source.stride;
  return true;
}

template <int sources, int index_rank, int slice_rank>
struct Indexed : IndexedCall {
  int64_t index_shape[index_rank], index_strides[sources][index_rank];
  int64_t position_strides[2][index_rank];                        // of the array, of updates
  int64_t slice_shape[slice_rank], slice_strides[2][slice_rank];  // of the array, of updates
  IndexSource source[sources];
};

/** Where element `i` lies in the array and in the updates; false if an index is outside. */
template <int sources, int index_rank, int slice_rank>
MLX_FN bool find_indexed(const Indexed<sources, index_rank, slice_rank>& p, int64_t i, FaultOp op,
                         int64_t& in_array, int64_t& in_updates) {
  int64_t position = i / p.slice_elements;
  int64_t at[sources], slice[2], base[2];
  find_places<int64_t>(position, p.index_shape, p.index_strides, at);
  find_places<int64_t>(i - position * p.slice_elements, p.slice_shape, p.slice_strides, slice);
  find_places<int64_t>(position, p.index_shape, p.position_strides, base);
  in_array = base[0] + slice[0];
  in_updates = base[1] + slice[1];
  bool inside = true;
#pragma unroll
  for (int k = 0; k < sources; k++) {
    inside = inside && add_index(p.source[k], at[k], in_array, p.fault, op);
  }
  return inside;
}

}  // namespace mlx::core::kernels
