// Streams of the framework as streams of CUDA, and events between them.
#pragma once

#include <memory>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/event.h"

namespace mlx::core::cuda {

/** The CUDA stream of `s`, made at the first call; makes its device the thread's device. */
cudaStream_t stream_handle(const Stream& s);

/** Makes later work of `waiter` wait for all work queued on `other` so far. */
void order_after(const Stream& waiter, const Stream& other);

std::shared_ptr<EventState> make_event(const Stream& s);

/** Blocks until the stream's work is done, asking for interrupts; raises faults of its kernels. */
void synchronize_stream(const Stream& s);

}  // namespace mlx::core::cuda
