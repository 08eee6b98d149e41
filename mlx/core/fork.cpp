// The table of fork handlers. It is filled while libraries are loaded.
#include "mlx/core/fork.h"

#include <pthread.h>

#include <array>
#include <atomic>

namespace mlx::core {

namespace {

constexpr int stages = static_cast<int>(ForkStage::count);

// Constant initialization: registrations of other files may come before anything of this one runs.
constinit std::array<std::atomic<const ForkHandlers*>, stages> table{};

void call(int stage, void (*ForkHandlers::*handler)()) noexcept {
  const ForkHandlers* handlers = table[stage].load(std::memory_order_acquire);
  if (handlers && handlers->*handler) {
    (handlers->*handler)();
  }
}

void before_fork() {
  for (int stage = 0; stage < stages; stage++) {
    call(stage, &ForkHandlers::before);
  }
}

void after_fork(void (*ForkHandlers::*handler)()) {
  for (int stage = stages; stage-- > 0;) {
    call(stage, handler);
  }
}

}  // namespace

OnFork::OnFork(ForkStage stage, ForkHandlers handlers) {
  [[maybe_unused]] static const int registered = pthread_atfork(
      before_fork, [] { after_fork(&ForkHandlers::in_parent); },
      [] { after_fork(&ForkHandlers::in_child); });
  table[static_cast<int>(stage)].store(new ForkHandlers(handlers), std::memory_order_release);
}

}  // namespace mlx::core
