// Epilogues: maximum(product, 0) on a GPU, which the library that multiplies does as it stores.
#pragma once

#include <map>
#include <vector>

#include "mlx/graph/passes/fuse.h"

namespace mlx::core::detail {

struct Epilogues {
  std::map<size_t, uint32_t> product_of;  // by number of the maximum's group, the product's node
  std::vector<bool> absorbed;             // products that need no step of their own, by node

  bool contains(uint32_t node) const { return !absorbed.empty() && absorbed[node]; }
};

/** Finds the products that the maximum alone reads. */
Epilogues find_epilogues(const Walk& walk, const std::vector<Group>& groups);

}  // namespace mlx::core::detail
