// The lock on the structure of graphs. Planning takes graphs apart that other threads may hold
// arrays of, so whoever follows nodes it does not own alone, or changes them, holds this lock.
#pragma once

#include <mutex>

#include "mlx/array.h"

namespace mlx::core {

/** Held while a plan is made and its batches enter their queues, and while a graph is written out.
 *  Its holder never waits for a stream or for the host language. Arrays may be dropped under it. */
std::recursive_mutex& graph_lock();

/** The stream of the node that makes `a`, the default stream if there is none. */
Stream stream_of(const array& a);

}  // namespace mlx::core
