// Loops over memory that is read once and in order, at the speed at which it comes.
#pragma once

#include <cstdint>

#include "mlx/core/function_ref.h"

namespace mlx::core::cpu {

/** Calls f(part) for each of [0, parts), on the threads of the pool. Each has a stretch of its own,
 *  whose parts it takes in order, so that what it fetches ahead is what it takes next; then it
 *  takes those that others have not come to, from the end. Parts may so be small enough for threads
 *  of different speeds to end together. `f` must not throw. */
void parallel_stretches(int64_t parts, FunctionRef<void(int64_t part)> f);

}  // namespace mlx::core::cpu
