// Trees of axes beside trees of arrays.
#pragma once

#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

/**
 * One axis for each array of `tree`, -1 for None. `axes` is an int or None for all of it, or
 * containers that fit the outer ones of `tree`. Axes may be negative and count in arrays with
 * `extra_axes` more axes than they have. Throws ValueError if the trees do not fit.
 */
std::vector<int> flatten_axes(nb::handle tree, nb::handle axes, const char* op, int extra_axes);

}  // namespace mlx::python
