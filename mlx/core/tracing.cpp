// The traces of each thread, innermost first, and what is kept for them.
#include "mlx/core/tracing.h"

#include <list>
#include <mutex>
#include <set>
#include <utility>

#include "mlx/core/fork.h"

namespace mlx::core::detail {

namespace {

thread_local TracingScope* innermost = nullptr;

struct Kept {
  uint64_t last;  // number of the last trace that had begun
  std::shared_ptr<const void> held;
};

struct Traces {
  std::mutex mutex;
  uint64_t begun = 0;
  std::set<uint64_t> under_way;
  std::list<Kept> kept;  // in the order of `last`

  uint64_t begin() {
    std::lock_guard lock(mutex);
    under_way.insert(begun);
    return begun++;
  }

  void end(uint64_t number) {
    std::list<Kept> released;  // after the lock; moving takes no memory
    std::lock_guard lock(mutex);
    under_way.erase(number);
    while (!kept.empty() && (under_way.empty() || kept.front().last < *under_way.begin())) {
      released.splice(released.end(), kept, kept.begin());
    }
  }
};

Traces& traces() {
  static auto* all = new Traces;
  return *all;
}

}  // namespace

/** After a fork, in the child. */
void forget_other_threads() {
  traces().under_way.clear();
  for (auto* scope = innermost; scope; scope = scope->outer_) {
    traces().under_way.insert(scope->trace_->number);
  }
}

namespace {

const OnFork registered(ForkStage::traces,
                        {[] { traces().mutex.lock(); }, [] { traces().mutex.unlock(); },
                         [] {
                           forget_other_threads();
                           traces().mutex.unlock();
                         }});

}  // namespace

TracingPtr current_trace() { return innermost ? innermost->trace_ : nullptr; }

void note_shape_read() {
  for (auto* scope = innermost; scope; scope = scope->outer_) {
    scope->trace_->reads_shapes = true;
  }
}

TracingPtr last_to_end(const TracingPtr& a, const TracingPtr& b) {
  bool a_lasts = a && a->under_way, b_lasts = b->under_way;
  if (a_lasts && b_lasts) {
    return a->number <= b->number ? a : b;
  }
  return a_lasts ? a : b_lasts ? b : nullptr;
}

void keep_while_traced(std::shared_ptr<const void> held) {
  std::lock_guard lock(traces().mutex);
  if (!traces().under_way.empty()) {
    traces().kept.push_back({traces().begun - 1, std::move(held)});
  }
}

TracingScope::TracingScope() : outer_(innermost) {
  uint64_t number = traces().begin();
  try {
    trace_ = std::make_shared<Tracing>(number);
  } catch (...) {  // a trace without a scope would never end
    traces().end(number);
    throw;
  }
  innermost = this;
}

TracingScope::~TracingScope() {
  trace_->under_way = false;
  innermost = outer_;
  traces().end(trace_->number);
}

}  // namespace mlx::core::detail
