// Arrays as kernels see them: addresses on the device, whatever memory the array is in.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/runtime/allocator.h"

namespace mlx::core::cuda {

/** Address of the first element for a kernel on `s`. What is in host memory is copied to the
 *  device, once for all uses. */
const void* input_address(const array& a, const Stream& s);

/** Address of the first element of an array with device memory, for writing. */
void* output_address(array& a);

/** Whether `a` has one element of at most 8 bytes in host memory, which kernels take by value. */
bool is_host_scalar(const array& a);

/** Lets `out` take over the buffer of `in` for work on `s`, if that is device memory which nobody
 *  else needs. Its layout is row-major, or the order of `in` where the shapes are equal and it has
 *  another. */
bool write_over(const array& in, array& out, const Stream& s);

}  // namespace mlx::core::cuda
