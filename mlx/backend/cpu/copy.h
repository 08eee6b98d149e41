// Copies between layouts and dtypes, for every part of the CPU backend that wants its input in
// another form. Blocked transposes, long rows and streaming stores are found from the strides.
#pragma once

#include "mlx/array.h"

namespace mlx::core::cpu {

/**
 * dst = src, converted to dst's dtype. The shape of src broadcasts to that of dst. When dst has no
 * data yet it is allocated row contiguous; else its strides are kept. The two must not overlap.
 */
void copy(const array& src, array& dst);

/** The same on raw memory: strides in elements, `src` and `dst` point at the first element. */
void copy_strided(const void* src, const Strides& src_strides, void* dst,
                  const Strides& dst_strides, const Shape& shape, size_t itemsize);

/** The array itself if it is row contiguous, else a row-contiguous copy. */
array contiguous(const array& a);

/** Lets `out` take over the buffer of `in`, if that is host memory which nobody else needs. Its
 *  layout is row-major, or the order of `in` where the shapes are equal and it has another. */
bool write_over(const array& in, array& out);

/** Writes one element's bytes `value` to every element of `dst`, which has data. */
void fill(array& dst, const void* value);

/** Copies bytes past the caches when that pays, that is for blocks which will not be read soon. The
 *  caller ends a series of them with stream_fence(). */
void stream_bytes(void* dst, const void* src, size_t bytes);
void stream_fence();

/** Outputs of at least this many bytes are written past the caches. */
inline constexpr size_t stream_threshold = size_t(16) << 20;

}  // namespace mlx::core::cpu
