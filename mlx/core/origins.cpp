// The places of nodes by their addresses. A node that dies leaves its entry behind, and the next
// one at the same address takes it over, so there are never more than there were nodes at a time.
#include "mlx/core/origins.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "mlx/primitives.h"

namespace mlx::core {

namespace {

constinit std::atomic<OriginSource> source{nullptr};
constinit std::atomic<int> wishes{0};
thread_local OriginScope* innermost = nullptr;

struct Origins {
  std::mutex mutex;
  std::unordered_map<std::uintptr_t, std::string> of_node;
};

Origins& origins() {
  static auto* all = new Origins;  // nodes may be made while the process ends
  return *all;
}

std::string ask() {
  OriginSource whom = source.load(std::memory_order_acquire);
  return whom ? whom() : "";
}

}  // namespace

std::string OriginScope::current() {
  std::string place = ask();
  // Where a scope was opened, nothing of the user's program has run since: the node is derived.
  bool derived = innermost && !innermost->origin_.empty() && place == innermost->here_;
  return derived ? innermost->origin_ : place;
}

void set_origin_source(OriginSource next) { source.store(next, std::memory_order_release); }

void begin_origins() { wishes++; }

void end_origins() {
  if (--wishes == 0) {
    std::lock_guard lock(origins().mutex);
    origins().of_node.clear();
  }
}

bool keeps_origins() { return wishes.load(std::memory_order_relaxed) != 0; }

std::string origin_of(const array& a) {
  std::lock_guard lock(origins().mutex);
  auto found = origins().of_node.find(a.id());
  return found == origins().of_node.end() ? "" : found->second;
}

OriginScope::OriginScope(std::string origin) {
  if (!keeps_origins()) [[likely]] {
    return;
  }
  origin_ = std::move(origin);
  here_ = ask();
  is_open_ = true;
  outer_ = innermost;
  innermost = this;
}

OriginScope OriginScope::derivative_of(const array& node) {
  if (!keeps_origins()) [[likely]] {
    return OriginScope(std::string());
  }
  std::string origin = origin_of(node);
  if (!origin.empty() && !origin.ends_with(')')) {
    origin += std::string(" (derivative of ") + node.primitive().name() + ")";
  }
  return OriginScope(std::move(origin));
}

OriginScope::~OriginScope() {
  if (is_open_) {
    innermost = outer_;
  }
}

void detail::note_origin(std::uintptr_t node) {
  if (!keeps_origins()) [[likely]] {
    return;
  }
  std::string place = OriginScope::current();
  std::lock_guard lock(origins().mutex);
  origins().of_node[node] = std::move(place);
}

}  // namespace mlx::core
