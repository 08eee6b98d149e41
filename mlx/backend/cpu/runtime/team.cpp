// A team gathers inside one loop of the pool: threads that come before it is closed are members.
#include "mlx/backend/cpu/runtime/team.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "mlx/backend/cpu/runtime/patience.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** How long the first member waits for the others: a few times what waking a thread takes. */
constexpr auto gathering_time = std::chrono::microseconds(200);

class Gathering {
 public:
  Gathering(int wanted, FunctionRef<void(int, Team&)> work) : wanted_(wanted), work_(work) {}

  void join(bool alone) {
    int member = arrived_.fetch_add(1);
    if (member >= closed) return;
    if (member == 0) {
      if (!alone) wait_for_others();
      team_.emplace(arrived_.fetch_add(closed));
      open_.store(true, std::memory_order_release);
    }
    while (!open_.load(std::memory_order_acquire)) __builtin_ia32_pause();
    work_(member, *team_);
  }

 private:
  static constexpr int closed = 1 << 20;

  void wait_for_others() {
    auto deadline = std::chrono::steady_clock::now() + gathering_time;
    while (arrived_.load(std::memory_order_relaxed) < wanted_ &&
           std::chrono::steady_clock::now() < deadline) {
      __builtin_ia32_pause();
    }
  }

  int wanted_;
  FunctionRef<void(int, Team&)> work_;
  std::atomic<int> arrived_{0};
  std::atomic<bool> open_{false};
  std::optional<Team> team_;
};

}  // namespace

void Team::wait() {
  unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  Patience patience;
  while (round_.load(std::memory_order_acquire) == round) {
    patience.wait();
  }
}

void parallel_team(int wanted, FunctionRef<void(int, Team&)> f) {
  wanted = std::clamp(wanted, 1, num_threads());
  Gathering gathering(wanted, f);
  parallel_for(wanted, 1, [&](int64_t begin, int64_t end) {
    gathering.join(/*alone=*/end - begin == wanted);
  });
}

}  // namespace mlx::core::cpu
