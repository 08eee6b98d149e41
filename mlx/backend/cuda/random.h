// Random bits on the GPU, as an array of their own or for a program that makes them itself.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/kernels/random_call.h"

namespace mlx::core::cuda {

/** Keys, uint32 of shape (..., 2), in a layout that kernels read. */
array readable_keys(const array& keys, const Stream& s);

/** The operand that such keys are. */
kernels::Operand key_operand(const array& keys, const Stream& s);

/** The kernel that fills memory. */
KernelCall random_bits_call();

/** The words that one key makes, as an array of this shape. */
array random_words(const array& key, const Shape& shape, const Stream& s);

}  // namespace mlx::core::cuda
