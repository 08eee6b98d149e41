// eval and async_eval: plan, hand each stream its batch, wait if asked to.
#include <pthread.h>

#include <memory>
#include <mutex>

#include "mlx/core/scheduler.h"
#include "mlx/graph/plan.h"
#include "mlx/graph/plan_cache.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

// Below this much traffic a plan takes less time than waking a thread to run it.
constexpr size_t inline_bytes = size_t{8} << 20;

// Planning reads and changes graphs, so one thread plans at a time, and batches enter the queues
// in the order of the plans. A fork waits for it, so that the child does not find it locked.
std::mutex& planning_lock() {
  static auto* mutex = [] {
    pthread_atfork([] { planning_lock().lock(); }, [] { planning_lock().unlock(); },
                   [] { planning_lock().unlock(); });
    return new std::mutex;
  }();
  return *mutex;
}

void submit(detail::Batch batch) {
  auto stream = batch.stream;
  scheduler::submit(stream, [b = std::make_shared<detail::Batch>(std::move(batch))] { b->run(); });
}

// Running a batch of a GPU only queues work there, so it takes no time whatever its size. (Handing
// it to the stream's thread costs more than it saves: the two threads then meet in the allocator.)
bool worth_running_here(const detail::BoundPlan& plan, bool caller_waits) {
  if (plan.batches.size() != 1) {
    return false;
  }
  bool queues_only = plan.batches[0].stream.device.type == Device::gpu;
  return queues_only || (caller_waits && plan.bytes <= inline_bytes);
}

void schedule(const std::vector<array>& outputs, bool caller_waits) {
  std::unique_lock lock(planning_lock());
  auto plan = detail::plan_evaluation(outputs);
  if (worth_running_here(plan, caller_waits) && scheduler::try_acquire(plan.batches[0].stream)) {
    lock.unlock();
    plan.batches[0].run();
    scheduler::release(plan.batches[0].stream);
    return;
  }
  for (auto& batch : plan.batches) {
    submit(std::move(batch));
  }
}

}  // namespace

namespace detail {

PlanCacheInfo plan_cache_info() {
  std::lock_guard lock(planning_lock());
  return plan_cache().info();
}

size_t set_plan_cache_limit(size_t nodes) {
  std::lock_guard lock(planning_lock());
  return plan_cache().set_limit(nodes);
}

void clear_plan_cache() {
  std::lock_guard lock(planning_lock());
  plan_cache().clear();
}

}  // namespace detail

void async_eval(std::vector<array> outputs) { schedule(outputs, false); }

void eval(std::vector<array> outputs) {
  schedule(outputs, true);
  for (auto& out : outputs) {
    out.wait();
  }
}

}  // namespace mlx::core
