// Pooling, for the layers of mlx.nn; no part of the public interface.
#pragma once

#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/**
 * The maximum ("max") or mean ("mean") of each window of x (n, spatial..., c), with one entry of
 * `kernel`, `stride` and `padding` for each spatial axis. Maxima are padded with the lowest value,
 * means with zeros, which count; means of integers are float32. Throws std::invalid_argument for
 * entries that don't fit or aren't positive, for negative padding, and for too many windows.
 */
array pool(const array& x, const std::string& kind, const std::vector<int>& kernel,
           const std::vector<int>& stride, const std::vector<int>& padding, StreamOrDevice s = {});

}  // namespace mlx::core::detail
