// Memory for array data: a caching allocator with counters and an enforced limit.
#pragma once

#include <cstddef>
#include <functional>

namespace mlx::core::allocator {

/** A block of memory; does not own it. */
class Buffer {
 public:
  explicit Buffer(void* ptr = nullptr) : ptr_(ptr) {}

  /** The address that the host reads and writes. */
  void* raw_ptr() const { return ptr_; }
  const void* ptr() const { return ptr_; }
  void* ptr() { return ptr_; }

 private:
  void* ptr_;
};

/**
 * At least `size` bytes, aligned to 64. Throws OutOfMemory when the limit would be passed or the
 * system has no more; before that the cache is returned to the system.
 */
Buffer malloc(size_t size);

/** Takes back what `malloc` gave; the null buffer is ignored. */
void free(Buffer buffer);

/** The bytes that `malloc` set aside for the buffer. */
size_t allocated_size(Buffer buffer);

using Deleter = std::function<void(Buffer)>;

/** A buffer with the way to release it: what an array takes over. An empty deleter means `free`. */
struct Data {
  Buffer buffer;
  Deleter deleter;

  Data(Buffer buffer, Deleter deleter = {}) : buffer(buffer), deleter(std::move(deleter)) {}
};

}  // namespace mlx::core::allocator
