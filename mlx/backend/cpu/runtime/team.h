// Threads that go through steps together: for work whose steps are too short to start a loop of the
// pool for each.
#pragma once

#include <atomic>

#include "mlx/core/function_ref.h"

namespace mlx::core::cpu {

class Team {
 public:
  explicit Team(int size) : size_(size) {}
  int size() const { return size_; }

  /** Returns when all members have come here; what each did before is seen by all after. */
  void wait();

 private:
  int size_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};

/** Calls f(member, team) once in each of up to `wanted` threads of the pool, the caller included,
 *  at the same time; `team.size()` are really there, and members count from 0. The team is the
 *  caller alone inside another loop. `f` must not throw, since the others would wait for ever. */
void parallel_team(int wanted, FunctionRef<void(int member, Team& team)> f);

}  // namespace mlx::core::cpu
