// The one handle of cuDNN works for one stream at a time.
#include "mlx/backend/cuda/dnn_plans.h"

#if __has_include(<cudnn_graph.h>)
#include <mutex>

#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

/** Queues the plan on any stream. */
void execute(const DnnPlan& plan, const DnnArguments& arguments, void* workspace,
             cudaStream_t stream) {
  DnnDescriptor pack =
      DnnDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
          .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, arguments.ids)
          .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, arguments.data)
          .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace)
          .finish();
  expect(dnn().set_stream(dnn_handle(), stream));
  expect(dnn().execute(dnn_handle(), plan.plan.object(), pack.object()));
}

/** The same as a call that is recorded once; false if its engine cannot be. */
bool execute_recorded(DnnPlan& plan, const DnnArguments& arguments, void* workspace,
                      const Stream& s) {
  if (!plan.can_be_recorded) return false;
  LibraryCall call(plan.number);
  for (uint64_t value : arguments.call_values) call.add(value);
  call.add(workspace).may_fail().takes_long();
  try {
    enqueue(s, call, [&](cudaStream_t stream) { execute(plan, arguments, workspace, stream); });
  } catch (const DnnRefusal&) {
    plan.can_be_recorded = false;
  }
  return plan.can_be_recorded;
}

}  // namespace

DnnPlan* DnnPlans::find(const Key& key, const std::function<DnnPlan()>& make) {
  auto it = plans_.find(key);
  if (it == plans_.end()) {
    if (plans_.size() >= most_) {
      check_cuda([&] { return cudaDeviceSynchronize(); }, "waiting for cuDNN");
      plans_.clear();
    }
    std::unique_ptr<DnnPlan> plan;
    try {
      plan = std::make_unique<DnnPlan>(make());
    } catch (const DnnRefusal&) {
      plan = nullptr;
    }
    it = plans_.emplace(key, std::move(plan)).first;
  }
  return it->second.get();
}

bool DnnPlans::run(const Key& key, const std::function<DnnPlan()>& make,
                   const DnnArguments& arguments, const Stream& s) {
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  use_device(s.device.index);
  DnnPlan* plan = dnn_handle() ? find(key, make) : nullptr;
  if (!plan) {
    return false;
  }
  Scratch workspace(static_cast<size_t>(plan->workspace), s);
  try {
    if (!execute_recorded(*plan, arguments, workspace.get(), s)) {
      call_directly(
          s, [&](cudaStream_t stream) { execute(*plan, arguments, workspace.get(), stream); });
    }
  } catch (const DnnRefusal& refusal) {
    throw std::runtime_error(error_message(OpScope::current(), "cuDNN failed with status ",
                                           static_cast<int>(refusal.code), "."));
  }
  return true;
}

}  // namespace mlx::core::cuda

#endif
