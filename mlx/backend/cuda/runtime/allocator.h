// Device memory: plain allocations, cached by stream, so that a freed block is reused at once by
// later work of the same stream without waiting for anything.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/array.h"
#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/staging.h"
#include "mlx/core/memory_pool.h"
#include "mlx/core/object_pool.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

class Block final : public allocator::DeviceMemory {
 public:
  Block(void* address, size_t bytes, Stream owner)
      : address_(address), bytes_(bytes), owner_(owner) {}
  ~Block() override;
  static void* operator new(size_t bytes) { return object_pool::take(bytes); }
  static void operator delete(void* memory, size_t bytes) { object_pool::give(memory, bytes); }

  void* device_address() override { return address_; }
  size_t bytes() override { return bytes_; }
  void* host_address(size_t begin, size_t end) override;
  void fetch_ahead(size_t begin, size_t end, const Stream& after) override;

  const Stream& owner() const { return owner_; }
  /** Notes that work of another stream reads or writes the block. */
  void used_on(const Stream& s);
  /** Forgets what the host has of it, since the block is about to be written. */
  void drop_host_copies();

 private:
  struct HostCopy {
    size_t begin, end;
    allocator::Buffer buffer;
  };
  struct Fetch {
    size_t begin, end;
    FewBytes bytes;
  };

  void* address_;
  size_t bytes_;
  Stream owner_;
  std::vector<Stream> users_;
  std::vector<HostCopy> host_copies_;  // addresses that were given out stay good
  std::optional<Fetch> fetch_;         // one that is under way
};

/** A block for work of `s`. Throws OutOfMemory; the process stays usable. */
Block* allocate(size_t bytes, const Stream& s);

/** Gives `out` row-contiguous device memory (or the layout) on a stream. */
void allocate_output(array& out, const Stream& s);
void allocate_output_like(array& out, const array& model, const Stream& s);

/** Scratch memory that is free for later work of the stream when this goes. */
class Scratch {
 public:
  Scratch(size_t bytes, const Stream& s) : block_(allocate(bytes, s)) {}
  ~Scratch() { delete block_; }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return block_->device_address(); }

 private:
  Block* block_;
};

MemoryPool& device_pool();

/** How often memory has gone back to the driver. */
uint64_t memory_returns();

}  // namespace mlx::core::cuda
