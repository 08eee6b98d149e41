// The one thread pool of the process. Every stream's work splits over it by parallel_for, so
// that all streams together use num_threads() cores and not more.
#pragma once

#include <cstdint>

#include "mlx/core/function_ref.h"

namespace mlx::core {

// Number of threads a parallel_for may use, the caller included. By default usable_cores(), or the
// environment variable MLX_NUM_THREADS.
int num_threads();

// Changes num_threads() for the loops that start from now on; values below 1 mean 1.
void set_num_threads(int threads);

// Runs f(begin, end) over disjoint ranges that cover [0, n), on the caller and the pool's workers,
// and returns when all are done. All compute in the caller's float_mode(). Every range has at least
// `grain` indices (when n has as many). Runs as one range in the caller when n <= grain, when there
// is one thread, or inside another parallel_for. The first exception thrown by f is rethrown here,
// and ranges not yet started are then skipped. Which thread takes a range is open, but each begins
// with those at its place among the threads. May be called from several threads at once and in a
// forked child.
void parallel_for(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> f);

// Inside parallel_for: a number below num_threads() that no other thread working on the same loop
// has (0 in the caller). Outside: 0.
int thread_index();

}  // namespace mlx::core
