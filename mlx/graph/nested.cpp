// Inner plans: they have one stream, that of the step, whose thread runs them at once.
#include "mlx/graph/nested.h"

#include <mutex>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/graph/plan.h"

namespace mlx::core {

void NestedPrimitive::run(const std::vector<array>& inputs, std::vector<array>& outputs) {
  auto values = compute(inputs);
  for (size_t i = 0; i < outputs.size(); i++) {
    outputs[i].copy_shared_buffer(values[i]);
    outputs[i].add_doubts(values[i].doubts());
  }
}

void detail::evaluate_within(const std::vector<array>& outputs, const Stream& own) {
  BoundPlan plan;
  {
    std::lock_guard lock(graph_lock());
    plan = plan_evaluation(outputs);
  }
  for (auto& batch : plan.batches) {
    internal_check(batch.stream == own, "a graph within a step has another stream");
    batch.run(true);
  }
  for (auto& out : outputs) {
    if (auto failure = out.error()) std::rethrow_exception(failure);
  }
}

bool detail::is_nested(const Primitive& primitive) {
  return primitive.type_number() == 0 && dynamic_cast<const NestedPrimitive*>(&primitive);
}

}  // namespace mlx::core
