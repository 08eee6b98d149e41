// Each stream is a queue of batches that run in order. A batch runs in a thread of the stream, or,
// when the stream is idle and the caller would only wait, in the calling thread.
#pragma once

#include <functional>

#include "mlx/stream.h"

namespace mlx::core::scheduler {

/** Whether the stream has been made. */
bool stream_exists(const Stream& s);

/** Runs `batch` after all earlier batches of the stream, in the stream's thread. It must not throw.
 */
void submit(const Stream& s, std::function<void()> batch);

/**
 * If the stream has nothing to do, keeps it for the caller and returns true: batches submitted from
 * now on wait for `release`.
 */
bool try_acquire(const Stream& s);
void release(const Stream& s);

/** Waits until the stream has nothing to do; throws Interrupted when asked to stop waiting. */
void wait_idle(const Stream& s);

}  // namespace mlx::core::scheduler
