// The memory of one device as the public memory functions see it. All sizes in bytes.
#pragma once

#include <atomic>
#include <cstddef>

namespace mlx::core {

class MemoryPool {
 public:
  virtual ~MemoryPool() = default;

  /** Held by arrays. */
  virtual size_t active() = 0;
  /** The most that was active since the start or the last reset. */
  virtual size_t peak() = 0;
  virtual void reset_peak() = 0;
  /** Freed and kept for reuse. */
  virtual size_t cached() = 0;
  /** Beyond the limit nothing is kept for reuse. A strict limit is never passed: an allocation that
   *  would throws OutOfMemory. Otherwise only the device's own memory is the end. */
  virtual size_t limit() = 0;
  virtual size_t set_limit(size_t limit, bool strict) = 0;
  virtual size_t set_cache_limit(size_t limit) = 0;
  virtual void clear_cache() = 0;
};

MemoryPool& host_memory_pool();

/** One pool's part in `over_memory_limit`; told after each change of the pool's active memory. */
class LimitWatch {
 public:
  void update(bool over) {
    if (over != over_) [[unlikely]] {
      over_ = over;
      pools_over_limit += over ? 1 : -1;
    }
  }

 private:
  friend bool over_memory_limit();
  static inline constinit std::atomic<int> pools_over_limit{0};
  bool over_ = false;
};

/** Whether a pool holds more than its limit. Evaluations then wait for earlier work to end. */
inline bool over_memory_limit() {
  return LimitWatch::pools_over_limit.load(std::memory_order_relaxed) > 0;
}

}  // namespace mlx::core
