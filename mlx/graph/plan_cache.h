// Plans by the structure of the graphs that they were made for. Bounded: the plans that were not
// used for longest go first.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "mlx/graph/plan.h"
#include "mlx/plans.h"

namespace mlx::core::detail {

class PlanCache {
 public:
  /** The plan for this structure, made by `make` if none is known. */
  std::shared_ptr<const Plan> find(const Structure& structure, const std::function<Plan()>& make);

  /** Nodes of all graphs whose plans are kept, at most; returns the old limit. */
  size_t set_limit(size_t nodes);
  void clear();

  PlanCacheInfo info() const { return {entries_.size(), nodes_, made_}; }

 private:
  struct Entry {
    Structure structure;
    std::shared_ptr<const Plan> plan;
  };
  using Entries = std::list<Entry>;

  Entries::iterator known(const Structure& structure);
  void drop_oldest();

  Entries entries_;  // the one used last in front
  std::unordered_multimap<uint64_t, Entries::iterator> by_hash_;
  size_t nodes_ = 0, made_ = 0;
  size_t limit_ = size_t{1} << 18;
};

/** The process's plans. To be used with the graph lock held. */
PlanCache& plan_cache();

}  // namespace mlx::core::detail
