// The thread pool: loops are posted on a list, workers join one, take ranges from its counter and
// leave. Workers spin for some tens of microseconds after work before they sleep, so that a chain
// of small loops has no wake-up cost, and an idle pool costs nothing.
#include "mlx/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>

#include "mlx/core/fork.h"

namespace mlx::core {

namespace {

using Body = FunctionRef<void(int64_t, int64_t)>;

constexpr int kMaxThreads = 1024;
constexpr int kRangesPerThread = 4;
constexpr auto kSpin = std::chrono::microseconds(40);

thread_local bool inside_loop = false;
thread_local int index_in_loop = 0;

// Polls `done` for about kSpin; returns whether it became true.
template <typename Done>
bool spin_until(Done done) {
  auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      __builtin_ia32_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

// One parallel_for: lives on the stack of its caller, which leaves only after it has taken the loop
// off the list and `workers` is zero.
struct Loop {
  Body body;
  int64_t n;
  int64_t ranges;
  std::atomic<int64_t> next{0};
  std::atomic<int> workers{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error = nullptr;
  Loop* later = nullptr;

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= ranges; }

  bool run_one() {
    int64_t i = next.fetch_add(1, std::memory_order_relaxed);
    if (i >= ranges) return false;
    int64_t size = n / ranges, rest = n % ranges;
    int64_t begin = i * size + std::min(i, rest);
    try {
      body(begin, begin + size + (i < rest));
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
      next.store(ranges, std::memory_order_relaxed);
    }
    return true;
  }
};

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads) {}

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int threads) {
    std::lock_guard lock(mutex_);
    threads_ = threads;
    ++epoch_;
    wake_.notify_all();
  }

  void run(Loop& loop) {
    post(loop);
    ++active_;
    inside_loop = true;
    while (loop.run_one()) {
    }
    inside_loop = false;
    bool others = retract(loop);
    if (--active_ < threads() && others) announce(1);
    wait_for_workers(loop);
    if (loop.error) std::rethrow_exception(loop.error);
  }

 private:
  void post(Loop& loop) {
    int wanted;
    {
      std::lock_guard lock(mutex_);
      ensure_workers();
      Loop** tail = &loops_;
      while (*tail) tail = &(*tail)->later;
      *tail = &loop;
      ++epoch_;
      wanted = static_cast<int>(std::min<int64_t>(loop.ranges - 1, sleepers_));
    }
    notify(wanted);
  }

  void announce(int workers) {
    {
      std::lock_guard lock(mutex_);
      ++epoch_;
      workers = std::min(workers, sleepers_);
    }
    notify(workers);
  }

  void notify(int workers) {
    for (int i = 0; i < workers; ++i) wake_.notify_one();
  }

  // Takes the loop off the list; returns whether other loops are on it.
  bool retract(Loop& loop) {
    std::lock_guard lock(mutex_);
    Loop** link = &loops_;
    while (*link != &loop) link = &(*link)->later;
    *link = loop.later;
    return loops_ != nullptr;
  }

  void wait_for_workers(Loop& loop) {
    auto done = [&] { return loop.workers.load(std::memory_order_acquire) == 0; };
    if (spin_until(done)) return;
    std::unique_lock lock(mutex_);
    finished_.wait(lock, done);
  }

  void ensure_workers() {
    int wanted = threads() - 1;
    if (static_cast<int>(alive_.size()) < wanted) alive_.resize(wanted, false);
    for (int i = 0; i < wanted; ++i) {
      if (alive_[i]) continue;
      try {
        std::thread([this, i] { work(i + 1); }).detach();
      } catch (const std::system_error&) {
        return;  // fewer workers: the caller does their share
      }
      alive_[i] = true;
    }
  }

  Loop* join() {
    for (Loop* loop = loops_; loop; loop = loop->later) {
      if (loop->exhausted()) continue;
      if (active_.load() >= threads()) return nullptr;
      ++active_;
      loop->workers.fetch_add(1, std::memory_order_relaxed);
      return loop;
    }
    return nullptr;
  }

  void help(Loop& loop) {
    while (active_.load(std::memory_order_relaxed) <= threads() && loop.run_one()) {
    }
    --active_;
    // The loop may be gone as soon as its counter is zero: only the pool is used afterwards.
    if (loop.workers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      { std::lock_guard lock(mutex_); }
      finished_.notify_all();
    }
  }

  void work(int index) {
    inside_loop = true;
    index_in_loop = index;
    std::unique_lock lock(mutex_);
    while (index < threads()) {
      if (Loop* loop = join()) {
        lock.unlock();
        help(*loop);
        lock.lock();
        continue;
      }
      uint64_t seen = epoch_.load();
      lock.unlock();
      bool news = spin_until([&] { return epoch_.load(std::memory_order_acquire) != seen; });
      lock.lock();
      if (news) continue;
      ++sleepers_;
      wake_.wait(lock, [&] { return epoch_.load() != seen; });
      --sleepers_;
    }
    alive_[index - 1] = false;
  }

  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  std::atomic<int> threads_;
  std::atomic<int> active_{0};  // callers and workers inside a loop
  std::atomic<uint64_t> epoch_{0};
  int sleepers_ = 0;
  Loop* loops_ = nullptr;
  std::vector<bool> alive_;
};

int default_threads() {
  if (const char* text = std::getenv("MLX_NUM_THREADS")) {
    int wanted = std::atoi(text);
    if (wanted > 0) return std::min(wanted, kMaxThreads);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof(set), &set) == 0
                  ? CPU_COUNT(&set)
                  : static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, kMaxThreads);
}

std::atomic<Pool*> current_pool{nullptr};

// Never destroyed: workers may still be asleep when the process ends.
Pool& pool() {
  static const bool made = [] {
    current_pool = new Pool(default_threads());
    return true;
  }();
  static_cast<void>(made);
  return *current_pool.load(std::memory_order_acquire);
}

// A forked child has no workers and perhaps a locked mutex, so it gets a new pool.
void renew_pool() {
  if (auto* old = current_pool.load()) {
    current_pool = new Pool(old->threads());
  }
  inside_loop = false;
  index_in_loop = 0;
}

const OnFork registered(ForkStage::thread_pool, {nullptr, nullptr, renew_pool});

}  // namespace

int num_threads() { return pool().threads(); }

void set_num_threads(int threads) { pool().set_threads(std::clamp(threads, 1, kMaxThreads)); }

int thread_index() { return index_in_loop; }

void parallel_for(int64_t n, int64_t grain, Body f) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (n <= grain || n / grain < 2 || inside_loop) return f(0, n);
  Pool& shared = pool();
  int threads = shared.threads();
  if (threads == 1) return f(0, n);
  int64_t ranges = std::min<int64_t>(n / grain, int64_t{threads} * kRangesPerThread);
  Loop loop{f, n, ranges};
  shared.run(loop);
}

}  // namespace mlx::core
