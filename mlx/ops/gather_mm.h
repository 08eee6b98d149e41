// What all products of gathered matrices do with their indices.
#pragma once

#include <optional>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/** Given indices as int64, or one for every matrix in the batch of `operand`. Throws
 *  std::invalid_argument for indices that are not integers. */
array batch_indices(const char* op, const std::optional<array>& indices, const array& operand,
                    StreamOrDevice s);

}  // namespace mlx::core::detail
