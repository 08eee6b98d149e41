// Transfers between host and device through pinned memory: what the host hands over may change at
// once, and no transfer makes the host wait for earlier work of a stream.
#pragma once

#include "mlx/stream.h"

namespace mlx::core::cuda {

/** Queues a copy on the stream; `host` may be changed or freed when this returns. */
void copy_to_device(void* device, const void* host, size_t bytes, const Stream& s);

/** Copies memory that the device has done its work on, and waits for the copy. */
void copy_to_host(void* host, const void* device, size_t bytes, int device_index);

}  // namespace mlx::core::cuda
