// Checks of index arrays that gathers and scatters share.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** Throws std::invalid_argument unless the dtype is an integer one. */
void check_index_dtype(const char* op, const array& indices);

/** The common shape of index arrays, one for each axis. Throws std::invalid_argument. */
Shape check_indices(const char* op, const array& a, const std::vector<array>& indices,
                    const std::vector<int>& axes);

/** Throws std::invalid_argument if one of the inputs from `first` to `last`, which are indices, is
 *  to be differentiated. */
void check_no_index(const char* op, const std::vector<int>& argnums, int first, int last);

/** Shape of a result along an axis: indices and array broadcast but for the axis, where the
 *  indices' extent counts. Throws std::invalid_argument. */
Shape shape_along_axis(const char* op, const array& a, const array& indices, int axis);

}  // namespace mlx::core
