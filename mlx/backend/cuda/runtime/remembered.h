// What was asked about before: what may pay only if it comes again.
#pragma once

#include <cstddef>
#include <unordered_set>

namespace mlx::core::cuda {

/** Bounded: forgets everything when it is full. */
template <typename Key>
class Remembered {
 public:
  /** Whether the key was asked about before. */
  bool comes_again(const Key& key) {
    constexpr size_t most = 4096;
    if (keys_.size() >= most) keys_.clear();
    return !keys_.insert(key).second;
  }

 private:
  std::unordered_set<Key> keys_;
};

}  // namespace mlx::core::cuda
