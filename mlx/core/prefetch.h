// Asking for memory ahead of its use, where another thread wrote it last.
#pragma once

#include <cstddef>

namespace mlx::core {

/** Asks the processor for `bytes` that are going to be read and written. */
inline void prefetch(const void* memory, size_t bytes) {
  constexpr size_t line = 64;
  for (size_t i = 0; i < bytes; i += line) {
    __builtin_prefetch(static_cast<const char*>(memory) + i, 1);
  }
}

}  // namespace mlx::core
