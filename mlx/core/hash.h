// Hashes of values made of others: graphs, nodes and their parameters are found again by them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlx::core {

/** The hash of a sequence that goes on with `value`. */
inline size_t hash_combine(size_t seed, size_t value) {
  uint64_t mixed = (seed ^ value ^ (value >> 32)) * 0x9e3779b97f4a7c15ULL + 1;
  return mixed ^ (mixed >> 29);
}

}  // namespace mlx::core
