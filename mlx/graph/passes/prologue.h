// Prologues: element-wise groups that run inside the reduction which alone reads their result.
#pragma once

#include <map>
#include <vector>

#include "mlx/graph/passes/fuse.h"

namespace mlx::core::detail {

/** What a reduction runs over: the program of the group that made its input. */
struct Prologue {
  Program program;
  std::vector<array> inputs;
  Shape shape;
};

struct Prologues {
  std::map<size_t, Prologue> of_reduction;  // by index of the reduction's group
  std::vector<bool> absorbed;               // groups that need no step of their own
};

/** Finds them for the reductions on the CPU. */
Prologues find_prologues(const Walk& walk, const std::vector<Group>& groups);

}  // namespace mlx::core::detail
