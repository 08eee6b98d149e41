// The installed interrupt check.
#include "mlx/core/interrupt.h"

#include <atomic>

namespace mlx::core {

namespace {
std::atomic<bool (*)()> installed_check{nullptr};
std::atomic<uint64_t> interrupts{0};
}  // namespace

void set_interrupt_check(bool (*check)()) { installed_check = check; }

bool interrupt_requested() {
  auto check = installed_check.load(std::memory_order_relaxed);
  bool requested = check && check();
  interrupts += requested;
  return requested;
}

uint64_t interrupt_count() { return interrupts; }

}  // namespace mlx::core
