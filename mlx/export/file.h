// Exported functions in files; docs/export.md describes the format.
#pragma once

#include <string>

#include "mlx/export/stored.h"

namespace mlx::core {

/**
 * Evaluates the constants and writes the file, which appears under its name when it is complete.
 * With `weights`, the name of a safetensors file, constants of more than one element lie there; the
 * reader looks for it beside the function's file unless the name is absolute.
 */
void write_function(const std::string& file, const StoredFunction& function,
                    const std::string& weights);

/** Throws std::runtime_error for a file that is not one, is damaged or contradicts itself. */
StoredFunction read_function(const std::string& file);

}  // namespace mlx::core
