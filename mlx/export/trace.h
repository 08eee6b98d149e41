// From functions to stored traces: what export does, whoever asks for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/export/constants.h"
#include "mlx/export/stored.h"

namespace mlx::core {

/** A function to export: outputs for the arguments in their order, and how they belong together. */
using ExportedCall =
    std::function<std::vector<array>(const std::vector<array>& arguments, std::string& structure)>;

/**
 * Traces `fun` at the shapes of the arguments. Nodes that no output needs are left out, equal nodes
 * are one, functions with rules of their own are what they compute. Keys that the function draws
 * from the calling thread's sequence depend on a further argument. Throws std::invalid_argument
 * where a node cannot be exported.
 */
StoredTrace trace_function(const ExportedCall& fun, const std::vector<StoredArgument>& arguments,
                           ConstantPool& constants);

/**
 * The same, and for each extent of the arguments whether it may vary: those that leave the graph as
 * it is when the function is traced with another one, alone or together with all extents that are
 * equal to it.
 */
StoredTrace trace_shapeless(const ExportedCall& fun, const std::vector<StoredArgument>& arguments,
                            ConstantPool& constants);

}  // namespace mlx::core
