// Each stream is a queue of batches that run in order. A batch runs in a thread of the stream, or,
// when the stream is idle and the caller would only wait, in the calling thread.
#pragma once

#include <functional>
#include <vector>

#include "mlx/stream.h"

namespace mlx::core::scheduler {

/** A stream that nobody has. With `reuse`, one that was given back if there is an idle one. */
Stream take_stream(Device d, bool reuse);

/** Gives a stream back whose only user, a thread, has ended; its own thread ends with its work. */
void give_back(const Stream& s);

/** Whether the stream has been made. */
bool stream_exists(const Stream& s);

std::vector<Stream> streams();

/**
 * Runs `batch` after all earlier batches of the stream, in the stream's thread. It must not throw.
 * Throws std::system_error, and leaves the batch alone, if no thread can be started.
 */
void submit(const Stream& s, std::function<void()> batch);

/**
 * Waits until at most one batch of the stream has not begun, or none has ended for a while: who
 * submits many that hold much stays close to their execution, and never waits for what may need a
 * later one elsewhere.
 */
void wait_for_turn(const Stream& s);

/**
 * If the stream has nothing to do, keeps it for the caller and returns true: batches submitted from
 * now on wait for `release`.
 */
bool try_acquire(const Stream& s);
/** As try_acquire, but waits until the stream has nothing to do. */
void acquire(const Stream& s);
void release(const Stream& s);

/** Waits until the stream has nothing to do; throws Interrupted when asked to stop waiting. */
void wait_idle(const Stream& s);

/** Cancels all work that has not begun, and returns when no stream has any left. What was cancelled
 *  has failed. To be called when the process ends, from a thread that does no work of a stream. */
void cancel_all();

/** Asked before each step of a batch: throws std::runtime_error while work is being cancelled. */
void check_cancelled();

}  // namespace mlx::core::scheduler
