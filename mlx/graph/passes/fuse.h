// Fusion: which nodes run together as one program over tiles.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/core/program.h"
#include "mlx/graph/walk.h"

namespace mlx::core::detail {

/** Nodes that run as one step, as indices into the walk, inputs before users. */
using Group = std::vector<uint32_t>;

/**
 * Splits the walk into groups and orders them so that each comes after all that it reads. A group
 * has one node, or several element-wise nodes of one shape on one stream between which nothing else
 * has to run. Intermediates that nobody else holds then never reach memory.
 */
std::vector<Group> fuse(const Walk& walk, bool enabled);

/** A group's program with the arrays it reads and those of its values that others need. */
struct FusedGroup {
  Program program;
  std::vector<array> inputs;
  std::vector<array> outputs;
};

FusedGroup build_program(const Walk& walk, const Group& group);

}  // namespace mlx::core::detail
