// The version of the library. It is stated once, in pyproject.toml, and the build hands it to
// version.cpp, so that the Python package, the CMake package and this function cannot disagree.
#pragma once

namespace mlx::core {

// The full version, such as "0.32.4+lazuli.0.1.0": the MLX version whose API is followed, then
// ours.
const char* version();

}  // namespace mlx::core
