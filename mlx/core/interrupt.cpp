// The installed interrupt check.
#include "mlx/core/interrupt.h"

#include <unistd.h>

#include <atomic>

namespace mlx::core {

namespace {

std::atomic<bool (*)()> installed_check{nullptr};
std::atomic<uint64_t> interrupts{0};

// In a forked child, the thread that forked.
bool on_main_thread() { return gettid() == getpid(); }

}  // namespace

void set_interrupt_check(bool (*check)()) { installed_check = check; }

void raise_interrupts() {
  auto check = installed_check.load(std::memory_order_relaxed);
  if (check && on_main_thread() && check()) {
    interrupts++;
    throw Interrupted();
  }
}

uint64_t interrupt_count() { return interrupts; }

}  // namespace mlx::core
