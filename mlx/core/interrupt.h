// A way for a host language to stop long work: it installs a check, and waits and evaluations ask.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace mlx::core {

/** Thrown out of an evaluation or a wait when the installed check says so. */
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("[eval] Interrupted.") {}
};

/**
 * `check` returns true when the calling thread should stop; called only from threads that evaluate
 * or wait, some tens of times a second. nullptr removes it.
 */
void set_interrupt_check(bool (*check)());

/** Asks the installed check, if there is one. */
bool interrupt_requested();

/** How often `interrupt_requested` said yes: work that runs elsewhere looks whether it is wanted.
 */
uint64_t interrupt_count();

}  // namespace mlx::core
