// What happens to locks, queues and threads around a fork: one registration with the system and one
// order, so that no handler waits for what another one holds.
#pragma once

namespace mlx::core {

/** In this order before a fork, and in the reverse order after it. */
enum class ForkStage {
  traces,
  graphs_and_streams,
  allocator,
  thread_pool,
  gpu,
  host_language,
  count
};

/** None of them may throw, look for interrupts or need a lock of the host language; each may be
 *  missing. */
struct ForkHandlers {
  void (*before)() = nullptr;
  void (*in_parent)() = nullptr;
  void (*in_child)() = nullptr;
};

/** Registers the handlers of one stage. Made as a static object, so that no thread is running yet
 *  that the handlers could miss. */
class OnFork {
 public:
  OnFork(ForkStage stage, ForkHandlers handlers);
};

}  // namespace mlx::core
