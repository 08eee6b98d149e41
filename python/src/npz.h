// Archives of npy files, by Python's zipfile.
#pragma once

#include <string>
#include <unordered_map>

#include "python/src/bindings.h"

namespace mlx::python {

using NamedArrays = std::unordered_map<std::string, array>;

/** All arrays of an npz file, a path or a file object, evaluated. Throws std::runtime_error. */
NamedArrays load_npz(nb::handle file, StreamOrDevice s);

/** Writes to a path or a file object; under a path, the file appears when it is complete. */
void save_npz(nb::handle file, const std::vector<std::pair<std::string, array>>& arrays,
              bool compressed);

}  // namespace mlx::python
