// eval and async_eval: plan, hand each stream its batch, wait if asked to.
#include <algorithm>
#include <memory>
#include <mutex>
#include <system_error>

#include "mlx/core/cores.h"
#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/core/layout.h"
#include "mlx/core/memory_pool.h"
#include "mlx/core/read.h"
#include "mlx/core/scheduler.h"
#include "mlx/graph/nested.h"
#include "mlx/graph/plan.h"
#include "mlx/graph/plan_cache.h"
#include "mlx/plans.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

// Below this much traffic a plan takes less time than waking a thread to run it.
constexpr size_t inline_bytes = size_t{8} << 20;

bool would_block(const detail::Batch& batch) {
  return std::any_of(batch.steps.begin(), batch.steps.end(), [&](const detail::Step& step) {
    return std::any_of(step.waits.begin(), step.waits.end(),
                       [&](const Event& e) { return !e.is_ready_for(batch.stream); });
  });
}

// Loops take as long as they like, and the caller's wait for them can be interrupted.
bool may_take_long(const detail::Batch& batch) {
  return std::any_of(batch.steps.begin(), batch.steps.end(),
                     [](const detail::Step& step) { return detail::is_nested(*step.primitive); });
}

// Queueing so many steps on a GPU takes longer than waking a thread to do it.
constexpr size_t fewest_handed_over = 32;

/** Whether running the batch only queues work on a GPU, which takes the host some microseconds for
 *  each step, however much that is. */
bool only_queues(const detail::Batch& batch) { return batch.stream.device.type == Device::gpu; }

// A caller that goes on builds the next graph while the stream's thread queues this one, unless it
// is short. A batch that has to wait for others runs in its stream's thread all the same: the
// caller's wait can be interrupted, the batch's own cannot.
bool worth_running_here(const detail::BoundPlan& plan, bool caller_waits) {
  if (plan.batches.size() != 1 || would_block(plan.batches[0]) || may_take_long(plan.batches[0])) {
    return false;
  }
  if (only_queues(plan.batches[0])) {
    static const bool has_core_to_spare = usable_cores() > 1;
    bool goes_on = !caller_waits && has_core_to_spare;
    return !goes_on || plan.batches[0].steps.size() < fewest_handed_over;
  }
  return caller_waits && plan.bytes <= inline_bytes;
}

void fail(detail::Batch& batch, const std::exception_ptr& reason) {
  batch.complete();
  for (auto& step : batch.steps) {
    for (auto& out : step.outputs) {
      out.set_error(reason);
    }
    if (step.done.valid()) {
      step.done.signal();
    }
  }
  batch.steps.clear();
  batch.done.signal();
}

std::exception_ptr no_thread(const Stream& s, const std::system_error& reason) {
  try {
    throw std::runtime_error(
        error_message("eval", "No thread can be started for ", s, ": ", reason.what(), "."));
  } catch (...) {  // also where there is no memory for a message
    return std::current_exception();
  }
}

// Hands a batch to its stream's thread. Returns why it could not, which leaves the batch as it was.
std::exception_ptr submit(detail::Batch& batch) {
  std::shared_ptr<detail::Batch> shared;
  std::exception_ptr reason;
  try {
    shared = std::make_shared<detail::Batch>(std::move(batch));
    scheduler::submit(shared->stream, [shared] {
      shared->run();
      detail::recycle(std::move(*shared));
    });
    return nullptr;
  } catch (const std::system_error& e) {
    reason = no_thread(shared->stream, e);
  } catch (...) {
    reason = std::current_exception();
  }
  if (shared) {
    batch = std::move(*shared);
  }
  return reason;
}

// Hands the batches to their streams' threads. Where there is no thread, a batch that depends on no
// other of its plan is left to the caller, who then has the stream: returns false. Several may wait
// for each other, so those fail, and what reads their results does.
bool hand_over(detail::BoundPlan& plan) {
  bool alone = plan.batches.size() == 1;
  for (auto& batch : plan.batches) {
    auto reason = submit(batch);
    if (reason && alone) {
      scheduler::acquire(batch.stream);
      return false;
    }
    if (reason) {
      fail(batch, reason);
    }
  }
  return true;
}

// Work that ends gives memory back.
void wait_for_memory() {
  for (const auto& s : scheduler::streams()) {
    if (!over_memory_limit()) {
      return;
    }
    synchronize(s);
  }
}

/** What ends the work that this thread scheduled last. */
Event& last_scheduled() {
  thread_local Event event;
  return event;
}

void schedule(const std::vector<array>& outputs, bool caller_waits) {
  if (over_memory_limit()) [[unlikely]] {
    wait_for_memory();
  }
  // Batches enter the queues in the order of their plans.
  std::unique_lock lock(graph_lock());
  auto plan = detail::plan_evaluation(outputs);
  if (!plan.batches.empty()) last_scheduled() = plan.batches.back().done;
  bool here =
      worth_running_here(plan, caller_waits) && scheduler::try_acquire(plan.batches[0].stream);
  bool takes_turns =
      !here && !caller_waits && plan.batches.size() == 1 && only_queues(plan.batches[0]);
  bool handed_over = !here && hand_over(plan);
  lock.unlock();
  if (!handed_over) {
    plan.batches[0].run();
    scheduler::release(plan.batches[0].stream);
    detail::recycle(std::move(plan.batches[0]));
  } else if (takes_turns) {
    scheduler::wait_for_turn(plan.batches[0].stream);
  }
}

}  // namespace

void detail::eval_to_read(const array& a) {
  if (a.status() == array::Status::unscheduled) {
    schedule({a}, true);
  }
  const Event& event = a.event();
  // What is queued behind later work arrives when that is done, so a copy on request comes sooner.
  bool is_last = event.valid() && event == last_scheduled();
  bool is_queued = is_last && !a.is_available() && event.is_ready_for(event.stream());
  if (is_queued && !a.known_error() && a.buffer().device_memory()) {
    auto [begin, end] = byte_range(a);
    a.buffer().device_memory()->fetch_ahead(static_cast<size_t>(begin), static_cast<size_t>(end),
                                            event.stream());
  }
  array(a).wait();
}

PlanCacheInfo plan_cache_info() {
  std::lock_guard lock(graph_lock());
  return detail::plan_cache().info();
}

size_t set_plan_cache_limit(size_t nodes) {
  std::lock_guard lock(graph_lock());
  return detail::plan_cache().set_limit(nodes);
}

void clear_plan_cache() {
  std::lock_guard lock(graph_lock());
  detail::plan_cache().clear();
}

void async_eval(std::vector<array> outputs) { schedule(outputs, false); }

void eval(std::vector<array> outputs) {
  schedule(outputs, true);
  for (auto& out : outputs) {
    out.wait();
  }
}

}  // namespace mlx::core
