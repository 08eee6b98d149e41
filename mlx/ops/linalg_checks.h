// What ops of linear algebra ask of their inputs.
#pragma once

#include "mlx/array.h"

namespace mlx::core::linalg {

/** Throws std::invalid_argument unless `a` holds matrices of float32, float64, complex64 or
 * complex128. */
void check_matrices(const char* op, const array& a);

/** The same for square ones. */
void check_square(const char* op, const array& a);

}  // namespace mlx::core::linalg
