// The places of nodes by their addresses. A node that dies leaves its entry behind, and the next
// one at the same address takes it over, so there are never more than there were nodes at a time.
#include "mlx/core/origins.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

namespace mlx::core {

namespace {

std::atomic<OriginSource> source{nullptr};

struct Origins {
  std::mutex mutex;
  std::unordered_map<std::uintptr_t, std::string> of_node;
};

Origins& origins() {
  static auto* all = new Origins;  // nodes may be made while the process ends
  return *all;
}

}  // namespace

void set_origin_source(OriginSource next) {
  source.store(next, std::memory_order_release);
  if (!next) {
    std::lock_guard lock(origins().mutex);
    origins().of_node.clear();
  }
}

std::string origin_of(const array& a) {
  std::lock_guard lock(origins().mutex);
  auto found = origins().of_node.find(a.id());
  return found == origins().of_node.end() ? "" : found->second;
}

void detail::note_origin(std::uintptr_t node) {
  OriginSource ask = source.load(std::memory_order_acquire);
  if (!ask) [[likely]] {
    return;
  }
  std::string place = ask();
  std::lock_guard lock(origins().mutex);
  origins().of_node[node] = std::move(place);
}

}  // namespace mlx::core
