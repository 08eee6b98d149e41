// The installed interrupt check.
#include "mlx/core/interrupt.h"

#include <atomic>

namespace mlx::core {

namespace {
std::atomic<bool (*)()> installed_check{nullptr};
}

void set_interrupt_check(bool (*check)()) { installed_check = check; }

bool interrupt_requested() {
  auto check = installed_check.load(std::memory_order_relaxed);
  return check && check();
}

}  // namespace mlx::core
