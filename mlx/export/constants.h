// Constants of exported functions: equal ones are stored once, and in the order in which their
// elements lie in memory, so that the transposed matrices of layers stay what they are.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** How the elements of a constant are stored. */
struct StoredElements {
  /** Row-major: one element if all are the same one, else the array with its axes in `order`. */
  array elements;
  bool repeated;
  std::vector<int> order;
};

/** Of an array that has been evaluated. */
StoredElements stored_elements(const array& a);

/** The array again; its data is available. */
array from_elements(const array& elements, bool repeated, const Shape& shape,
                    const std::vector<int>& order);

class ConstantPool {
 public:
  /** The number of `a`, which has been evaluated. */
  uint32_t add(const array& a);
  const std::vector<array>& arrays() const { return arrays_; }

 private:
  std::vector<array> arrays_;
  std::vector<array> kept_;  // whose ids are known
  std::unordered_map<std::uintptr_t, uint32_t> by_id_;
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;
};

}  // namespace mlx::core
