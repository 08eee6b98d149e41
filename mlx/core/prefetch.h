// Asking for the memory of nodes ahead of their use: where one thread builds and plans graphs and
// another runs them, each finds what the other one wrote last.
#pragma once

#include "mlx/array.h"

namespace mlx::core {

/** Asks the processor for `bytes` that are going to be read and written. */
inline void prefetch(const void* memory, size_t bytes) {
  constexpr size_t line = 64;
  for (size_t i = 0; i < bytes; i += line) {
    __builtin_prefetch(static_cast<const char*>(memory) + i, 1);
  }
}

/** The same for the node behind a handle. */
inline void prefetch(const array& a) {
  constexpr size_t node_bytes = 384;
  prefetch(reinterpret_cast<const void*>(a.id()), node_bytes);
}

}  // namespace mlx::core
