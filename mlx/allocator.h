// Memory for array data: a caching allocator with counters and a limit.
#pragma once

#include <cstddef>
#include <functional>

#include "mlx/stream.h"

namespace mlx::core::allocator {

/** A block of a device's memory, made by that device's backend. */
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;

  virtual void* device_address() = 0;
  virtual size_t bytes() = 0;

  /**
   * The block as the host may read it, of which the bytes from `begin` up to `end` are there. They
   * are copied at the first call, when the device must be done with the block, and kept; the block
   * itself stays where it is.
   */
  virtual void* host_address(size_t begin, size_t end) = 0;

  /** Has a few bytes on their way to the host by the time that `host_address` is asked for them:
   *  the copy is queued behind the work of `after`, which has been queued. Only ever saves time. */
  virtual void fetch_ahead(size_t /* begin */, size_t /* end */, const Stream& /* after */) {}
};

/** A block of memory, of the host or of a device; does not own it. */
class Buffer {
 public:
  explicit Buffer(void* ptr = nullptr) : ptr_(ptr) {}
  explicit Buffer(DeviceMemory* memory) : memory_(memory) {}

  /** The address that the host reads; for host memory also the one it writes. */
  void* raw_ptr() const { return memory_ ? memory_->host_address(0, memory_->bytes()) : ptr_; }

  /** The address on the buffer's own device. */
  const void* ptr() const { return memory_ ? memory_->device_address() : ptr_; }
  void* ptr() { return memory_ ? memory_->device_address() : ptr_; }

  /** nullptr for host memory. */
  DeviceMemory* device_memory() const { return memory_; }

 private:
  void* ptr_ = nullptr;
  DeviceMemory* memory_ = nullptr;
};

/**
 * At least `size` bytes, aligned to 64. Throws OutOfMemory when a strict limit would be passed or
 * the system has no more; before that the cache is returned to the system.
 */
Buffer malloc(size_t size);

/** Takes back what `malloc` gave; the null buffer is ignored. */
void free(Buffer buffer);

/** The bytes that `malloc` set aside for the buffer. */
size_t allocated_size(Buffer buffer);

/** Where the memory of arrays comes from, as an object. */
class Allocator {
 public:
  Allocator() = default;
  Allocator(const Allocator&) = delete;
  Allocator(Allocator&&) = delete;
  Allocator& operator=(const Allocator&) = delete;
  Allocator& operator=(Allocator&&) = delete;
  virtual ~Allocator() = default;

  virtual Buffer malloc(size_t size) = 0;
  virtual void free(Buffer buffer) = 0;
  virtual size_t size(Buffer buffer) const = 0;
  virtual Buffer make_buffer(void* ptr, size_t size) = 0;
  virtual void release(Buffer buffer) = 0;
};

/** The one that the functions around here stand for. */
Allocator& allocator();

/** A buffer over memory of the caller, for an array with a deleter that calls `release`; the memory
 *  stays the caller's. */
Buffer make_buffer(void* ptr, size_t size);
void release(Buffer buffer);

/** Whether make_buffer can use this memory as it is. */
bool can_reuse_alien_buffer(void* ptr);

using Deleter = std::function<void(Buffer)>;

/** A buffer with the way to release it: what an array takes over. An empty deleter means `free`. */
struct Data {
  Buffer buffer;
  Deleter deleter;

  Data(Buffer buffer, Deleter deleter = {}) : buffer(buffer), deleter(std::move(deleter)) {}
};

}  // namespace mlx::core::allocator
