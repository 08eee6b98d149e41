// How much a step has to do: the bytes that it moves and the operations that it needs.
#pragma once

#include <string>
#include <vector>

#include "mlx/primitives.h"
#include "mlx/profiler.h"

namespace mlx::core::profiler {

/** The names of the nodes that the primitive stands for, in order. */
std::vector<std::string> ops_of(const Primitive& primitive);

/** Bytes of the buffers that `arrays` cover, each once. */
size_t bytes_of(const std::vector<array>& arrays);

/** Operations of a step, as `Step::operations` counts them. */
double operations_of(const Primitive& primitive, const std::vector<Tensor>& inputs,
                     const std::vector<Tensor>& outputs);

}  // namespace mlx::core::profiler
