// The memory of one device as the public memory functions see it. All sizes in bytes.
#pragma once

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
  /** An allocation that would take the active memory over the limit throws OutOfMemory. */
  virtual size_t limit() = 0;
  virtual size_t set_limit(size_t limit) = 0;
  virtual size_t set_cache_limit(size_t limit) = 0;
  virtual void clear_cache() = 0;
};

MemoryPool& host_memory_pool();

}  // namespace mlx::core
