// Layouts and failures of decompositions.
#include "mlx/backend/common/linalg.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/layout.h"

namespace mlx::core {

Strides column_major_strides(const Shape& shape) {
  Strides strides = row_contiguous_strides(shape);
  size_t n = strides.size();
  strides[n - 2] = 1;
  strides[n - 1] = std::max(shape[n - 2], 1);
  return strides;
}

int64_t matrix_count(const array& a) {
  int64_t count = 1;
  for (size_t i = 0; i + 2 < a.ndim(); i++) {
    count *= a.shape()[i];
  }
  return count;
}

std::string not_positive(int info) {
  return "is not positive definite: its leading part of size " + std::to_string(info) +
         " has no Cholesky factor.";
}

std::string zero_pivot(int info) {
  return "is singular: pivot " + std::to_string(info - 1) + " of its LU factors is zero.";
}

std::string zero_diagonal(int info) {
  return "is singular: element " + std::to_string(info - 1) + " of its diagonal is zero.";
}

std::string not_converged(int info) {
  return info == not_finite ? "has elements that are NaN or infinite."
                            : "took too many iterations (info " + std::to_string(info) +
                                  "): they did not converge.";
}

std::string matrix_failure(const char* op, int64_t i, int64_t count, const std::string& why) {
  std::string which =
      count > 1 ? "Matrix " + std::to_string(i) + " of " + std::to_string(count) + " in the batch "
                : "The matrix ";
  return error_message(op, which, why);
}

}  // namespace mlx::core
