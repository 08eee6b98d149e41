// A lock that is only ever tried: whoever does not get it does without. So a fork may find it held,
// and no thread waits for another one that is not running.
#pragma once

#include <atomic>

namespace mlx::core {

class TryLock {
 public:
  bool try_lock() { return !held_.test_and_set(std::memory_order_acquire); }
  void unlock() { held_.clear(std::memory_order_release); }

 private:
  std::atomic_flag held_;
};

}  // namespace mlx::core
