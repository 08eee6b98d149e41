// A way for a host language to stop long work: it installs a check, and waits ask. Only the main
// thread asks, and only where it waits for a result and holds nothing: the check may run code of
// the host language, and that may evaluate.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace mlx::core {

/** Thrown out of a wait when the installed check says so. The work itself goes on. */
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("[eval] Interrupted.") {}
};

/** `check` returns true when the main thread should stop waiting. nullptr removes it. */
void set_interrupt_check(bool (*check)());

/** How long a wait may go on before it asks again. */
constexpr std::chrono::milliseconds interrupt_period{20};

/** Throws Interrupted if the installed check says so. Does nothing outside of the main thread. */
void raise_interrupts();

/** How many waits were interrupted: work that runs elsewhere looks whether it is still wanted. */
uint64_t interrupt_count();

}  // namespace mlx::core
