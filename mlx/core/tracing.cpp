// The traces of each thread, innermost first.
#include "mlx/core/tracing.h"

namespace mlx::core::detail {

namespace {
thread_local TracingScope* innermost = nullptr;
std::atomic<uint64_t> traces_begun{0};
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

TracingScope::TracingScope()
    : trace_(std::make_shared<Tracing>(traces_begun++)), outer_(innermost) {
  innermost = this;
}

TracingScope::~TracingScope() {
  trace_->under_way = false;
  innermost = outer_;
}

}  // namespace mlx::core::detail
