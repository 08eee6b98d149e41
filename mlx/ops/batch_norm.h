// Batch normalisation while training, for the layers of mlx.nn; no part of the public interface.
#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/**
 * x (..., c) normalised by the mean and variance (c) of each channel over all other axes, scaled by
 * `weight` and shifted by `bias` (c) if given; then that mean and variance. Dtypes promote,
 * integers to float32. Throws std::invalid_argument for shapes that don't fit and complex dtypes.
 */
std::vector<array> batch_norm(const array& x, const std::optional<array>& weight,
                              const std::optional<array>& bias, float eps, StreamOrDevice s = {});

}  // namespace mlx::core::detail
