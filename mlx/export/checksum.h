// The checksum of exported files: XXH64, a published 64-bit hash that reads memory at its speed. It
// finds damage; it is no protection against forgery, which is what the checks of a reader are for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlx::core {

/** XXH64 with seed 0. */
uint64_t xxh64(const void* data, size_t bytes);

}  // namespace mlx::core
