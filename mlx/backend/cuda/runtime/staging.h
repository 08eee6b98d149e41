// Transfers between host and device through pinned memory: what the host hands over may change at
// once, and no transfer makes the host wait for earlier work of a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "mlx/stream.h"

namespace mlx::core::cuda {

class Passing;

/** A few bytes on their way to the host. */
struct FewBytes {
  static constexpr size_t most = 16;

  std::shared_ptr<Passing> arrival;
  uint64_t number;  // of the transfer, which has one of a few places
};

/** Queues the copy of up to FewBytes::most bytes behind the work of a stream. */
FewBytes fetch(const void* device, size_t bytes, const Stream& s);

/** Waits for them; false if later ones have taken their place. */
bool take_fetched(const FewBytes& fetched, void* host, size_t bytes);

/** Queues a copy on the stream; `host` may be changed or freed when this returns. */
void copy_to_device(void* device, const void* host, size_t bytes, const Stream& s);

/** Copies memory that the device has done its work on, and waits for the copy. */
void copy_to_host(void* host, const void* device, size_t bytes, int device_index);

}  // namespace mlx::core::cuda
