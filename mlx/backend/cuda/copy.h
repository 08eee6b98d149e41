// Copies between layouts and dtypes on the GPU.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cuda {

/** out = in, converted; `out` has no data yet and becomes row contiguous. The shapes are equal. */
void copy(const array& in, array& out, const Stream& s);

/** The array itself if it is row contiguous, else a row-contiguous copy. */
array contiguous(const array& a, const Stream& s);

/** The same for an op that may work in place: gives `out` memory, that of `in` if nobody else needs
 *  it. */
array contiguous_for(const array& in, array& out, const Stream& s);

/** Sets device memory to zero. */
void clear(void* data, size_t bytes, const Stream& s);

/** On raw device memory: strides in elements, `in` and `out` point at the first element. */
void copy_strided(const void* in, const Strides& in_strides, void* out, const Strides& out_strides,
                  const Shape& shape, size_t itemsize, const Stream& s);

/** A copy on raw device memory, as copy_strided. */
struct StridedJob {
  const void* in;
  Strides in_strides;
  void* out;
  Strides out_strides;
  Shape shape;
  size_t itemsize;
};

/** Where a slice of `out` begins that is known on the device only. */
struct DeviceStart {
  const void* starts;  // one number for each of `axes`
  int64_t kind, step;  // their type (see index_kind), and from one to the next
  SmallVector<int64_t> axes, rooms, strides;  // rooms: the last start that fits
  kernels::Fault* fault;                      // where a start is reported that does not
};

/** As copy_strided, for a slice of the array at `out` that begins there. */
void copy_to_start(const StridedJob& job, DeviceStart start, const Stream& s);

/** Copies that do not touch each other's memory, by one kernel where that does both. */
void copy_pair(const StridedJob& a, const StridedJob& b, const Stream& s);
void copy_pair_to_start(const StridedJob& a, DeviceStart start_a, const StridedJob& b,
                        DeviceStart start_b, const Stream& s);

/** out = mode(out, in), as copy_strided. */
void combine_strided(UpdateMode mode, Dtype dtype, const void* in, const Strides& in_strides,
                     void* out, const Strides& out_strides, const Shape& shape, const Stream& s);

// The kernels: by strides, with an operation of the table, and by tiles where rows become columns.
KernelCall strided_copy_call(size_t word, bool wide, int rank);
KernelCall strided_combine_call(UpdateMode mode, Dtype dtype, bool wide, int rank);
KernelCall tiled_copy_call(size_t word, int side, int rank);
KernelCall placed_copy_call(size_t word, int rank, int axes);
KernelCall strided_copy_pair_call(size_t word, bool wide, int rank);
KernelCall placed_copy_pair_call(size_t word, int rank, int axes);

/** The table's name of the operation of an update: "Add" and so on. */
const char* update_op_name(UpdateMode mode);

/** `out` takes over the buffer of `source` where nobody else needs it, else gets a copy. */
void take_over(const array& source, array& out, const Stream& s);

}  // namespace mlx::core::cuda
