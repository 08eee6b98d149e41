// What array memory is in use, and its limits. All sizes in bytes.
#pragma once

#include <cstddef>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** Held by arrays now; the cache is not counted. */
size_t get_active_memory();

/** Held by the buffers of these arrays, each buffer counted once. */
size_t get_array_buffer_size(const std::vector<array>& arrays);

/** The most that was active since the start or the last reset. */
size_t get_peak_memory();
void reset_peak_memory();

/** Freed by arrays and kept for reuse. */
size_t get_cache_memory();

/**
 * The limit of the default device's memory. Beyond it nothing that is freed is kept, and
 * evaluations wait for earlier ones to end; an allocation raises only when the memory itself is
 * exhausted. Without `relaxed` the limit is never passed: an allocation that would raises
 * OutOfMemory. Returns the old limit.
 */
size_t set_memory_limit(size_t limit);
size_t set_memory_limit(size_t limit, bool relaxed);
size_t get_memory_limit();

/** Freed memory beyond this goes back to the system. Returns the old limit. */
size_t set_cache_limit(size_t limit);
void clear_cache();

/** Kept for callers on systems with wired memory; has no effect here. Returns the old limit. */
size_t set_wired_limit(size_t limit);

}  // namespace mlx::core
