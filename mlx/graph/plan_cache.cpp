// The list of plans in the order of their last use, with an index by hash.
#include "mlx/graph/plan_cache.h"

#include <utility>

namespace mlx::core::detail {

PlanCache::Entries::iterator PlanCache::known(const Structure& structure) {
  for (auto [it, end] = by_hash_.equal_range(structure.hash); it != end; ++it) {
    if (it->second->structure == structure) {
      return it->second;
    }
  }
  return entries_.end();
}

std::shared_ptr<const Plan> PlanCache::find(const Structure& structure,
                                            const std::function<Plan()>& make) {
  if (auto entry = known(structure); entry != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->plan;
  }
  made_++;
  auto plan = std::make_shared<const Plan>(make());
  if (plan->nodes > limit_) {
    return plan;
  }
  entries_.push_front({structure, plan});
  by_hash_.emplace(structure.hash, entries_.begin());
  nodes_ += plan->nodes;
  while (nodes_ > limit_) drop_oldest();
  return plan;
}

size_t PlanCache::set_limit(size_t nodes) {
  size_t old = std::exchange(limit_, nodes);
  while (nodes_ > limit_) drop_oldest();
  return old;
}

void PlanCache::clear() {
  entries_.clear();
  by_hash_.clear();
  nodes_ = 0;
}

void PlanCache::drop_oldest() {
  auto oldest = std::prev(entries_.end());
  for (auto [it, end] = by_hash_.equal_range(oldest->structure.hash); it != end; ++it) {
    if (it->second == oldest) {
      by_hash_.erase(it);
      break;
    }
  }
  nodes_ -= oldest->plan->nodes;
  entries_.erase(oldest);
}

PlanCache& plan_cache() {
  static auto* cache = new PlanCache;
  return *cache;
}

}  // namespace mlx::core::detail
