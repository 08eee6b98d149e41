// Generators: random bits that the program which alone reads them makes itself, so that they never
// reach memory.
#pragma once

#include <vector>

#include "mlx/graph/passes/fuse.h"

namespace mlx::core::detail {

struct Generators {
  std::vector<bool> absorbed;  // nodes of random bits that need no step of their own, by index
  std::vector<bool> reader;    // groups that make them instead, by number

  bool reads(size_t group) const { return !reader.empty() && reader[group]; }
  bool contains(uint32_t node) const { return !absorbed.empty() && absorbed[node]; }
};

/** Finds them for the groups on GPUs: 32-bit words of one key, of the shape of the group. */
Generators find_generators(const Walk& walk, const std::vector<Group>& groups);

/** Puts keys in the place of the absorbed bits among a program's inputs; says which they are. */
std::vector<bool> replace_by_keys(const Walk& walk, const Generators& generators,
                                  std::vector<array>& inputs);

}  // namespace mlx::core::detail
