// Element types by the names that kernels know them by.
#pragma once

#include <string>

#include "mlx/dtype.h"

namespace mlx::core::cuda {

/** The type of elements in kernels, such as "BFloat". */
const char* type_name(Dtype dtype);

/** An unsigned type of so many bytes: 1, 2, 4, 8 or 16. */
const char* word_name(size_t bytes);

}  // namespace mlx::core::cuda
