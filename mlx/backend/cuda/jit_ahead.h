// Texts that are compiled side by side before their kernels are asked for: the first evaluation of
// a graph meets many new ones, each of which would wait for the compiler by itself.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace mlx::core::cuda {

/** Has `compile` called soon, in a thread of its own while there are cores. Only ever saves time:
 *  what it throws is met again by whoever needs the kernel. */
void compile_ahead(const std::string& digest, std::function<std::string()> compile);

/** The machine code of what was begun under this digest, waited for if it is under way. Nothing if
 *  it was not begun or has failed. */
std::optional<std::string> compiled_ahead(const std::string& digest);

}  // namespace mlx::core::cuda
