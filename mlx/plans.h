// What is kept of planning: a graph of the structure of an earlier one finds its plan again. For
// programs that want to know, or want the memory back.
#pragma once

#include <cstddef>

namespace mlx::core {

struct PlanCacheInfo {
  size_t plans;  // that are kept
  size_t nodes;  // of the graphs that they were made for
  size_t made;   // plans that had to be made so far
};

PlanCacheInfo plan_cache_info();

/** Nodes of all graphs whose plans are kept, at most; returns the old limit. The plans that were
 * not used for longest go first. */
size_t set_plan_cache_limit(size_t nodes);

/** Forgets all plans; they are made anew when they are needed. */
void clear_plan_cache();

}  // namespace mlx::core
