// Asking for nodes ahead of their use: where one thread builds and plans graphs and another runs
// them, each finds what the other one wrote last.
#pragma once

#include "mlx/array.h"
#include "mlx/core/prefetch.h"

namespace mlx::core::detail {

/** Asks the processor for the node behind a handle. */
inline void prefetch_node(const array& a) {
  prefetch(reinterpret_cast<const void*>(a.id()), array::node_bytes());
}

}  // namespace mlx::core::detail
