// How a thread waits for what another is about to finish.
#pragma once

#include <sched.h>

namespace mlx::core::cpu {

/** Offers the core to others when it takes long. */
class Patience {
 public:
  void wait() {
    if (spins_ < spins_before_yield) {
      spins_++;
      __builtin_ia32_pause();
    } else {
      sched_yield();
    }
  }

 private:
  static constexpr int spins_before_yield = 4096;
  int spins_ = 0;
};

}  // namespace mlx::core::cpu
