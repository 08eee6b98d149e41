// The thread pool, without a lock on its way: a caller opens its loop in a slot and counts a word
// up that idle workers watch, first spinning for some tens of microseconds, so that a chain of
// small loops has no wake-up cost, then asleep, so that an idle pool costs nothing. Each thread has
// ranges of its own that it takes first, the same for every loop of as many, so that it finds in
// its caches what it wrote or read in the loop before; then it takes those that others have not
// begun.
#include "mlx/core/parallel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

#include "mlx/core/cores.h"
#include "mlx/core/denormals.h"
#include "mlx/core/fork.h"
#include "mlx/core/futex.h"
#include "mlx/core/threads.h"

namespace mlx::core {

namespace {

using Body = FunctionRef<void(int64_t, int64_t)>;

constexpr int kMaxThreads = 1024;
constexpr int kRangesPerThread = 8;
constexpr int kSlots = 32;
constexpr int kWokenByEach = 4;
constexpr size_t kCacheLine = 64;
constexpr auto kSpin = std::chrono::microseconds(50);

thread_local bool inside_loop = false;
thread_local int index_in_loop = 0;

// Polls `done` for a while; returns whether it became true. Where threads outnumber cores, spinning
// would keep those off that are waited for, so the core is offered to them.
template <typename Done>
bool spin_until(Done done, bool crowded) {
  using Clock = std::chrono::steady_clock;
  for (auto deadline = Clock::now() + kSpin; Clock::now() < deadline;) {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      if (crowded) {
        sched_yield();
      } else {
        __builtin_ia32_pause();
      }
    }
  }
  return done();
}

// Which ranges of a loop nobody has taken.
class FreeRanges {
 public:
  int64_t size() const { return size_.load(std::memory_order_relaxed); }

  void fill(int64_t size) {
    size_.store(size, std::memory_order_relaxed);
    for (int64_t i = 0; i < words_of(size); ++i) {
      int64_t bits = std::min<int64_t>(size - i * kBits, kBits);
      words_[i].store(~uint64_t{0} >> (kBits - bits), std::memory_order_relaxed);
    }
  }

  int count() const {
    int free = 0;
    for (int64_t i = 0; i < words_of(size()); ++i) free += std::popcount(word(i));
    return free;
  }

  // Takes the first of [begin, end); -1 if there is none.
  int64_t take_first(int64_t begin, int64_t end) {
    for (int64_t i = begin / kBits; i * kBits < end; ++i) {
      while (uint64_t free = word(i) & between(begin, end, i)) {
        int bit = std::countr_zero(free);
        if (take(i, bit)) return i * kBits + bit;
      }
    }
    return -1;
  }

  // Takes the last of [begin, end); -1 if there is none.
  int64_t take_last(int64_t begin, int64_t end) {
    for (int64_t i = words_of(end) - 1; i >= 0 && (i + 1) * kBits > begin; --i) {
      while (uint64_t free = word(i) & between(begin, end, i)) {
        int bit = kBits - 1 - std::countl_zero(free);
        if (take(i, bit)) return i * kBits + bit;
      }
    }
    return -1;
  }

 private:
  static constexpr int kBits = 64;

  static int64_t words_of(int64_t size) { return (size + kBits - 1) / kBits; }

  // The bits of word i that stand for ranges in [begin, end), of which it has some.
  static uint64_t between(int64_t begin, int64_t end, int64_t i) {
    int64_t low = std::max<int64_t>(begin - i * kBits, 0);
    int64_t high = std::min<int64_t>(end - i * kBits, kBits);
    return low < high ? ~uint64_t{0} >> (kBits - high) & ~uint64_t{0} << low : 0;
  }

  uint64_t word(int64_t i) const { return words_[i].load(std::memory_order_relaxed); }

  bool take(int64_t i, int bit) {
    uint64_t mask = uint64_t{1} << bit;
    return words_[i].fetch_and(~mask, std::memory_order_relaxed) & mask;
  }

  std::array<std::atomic<uint64_t>, kMaxThreads * kRangesPerThread / kBits> words_{};
  std::atomic<int64_t> size_{0};
};

// Where one loop at a time runs. Slots are never freed, so that a worker may look at one whose loop
// has just ended. The state is one word: whether the loop is open, whether its caller sleeps, and
// how many workers are inside. A worker that has counted itself in while the loop was open may read
// the rest.
class alignas(kCacheLine) Slot {
 public:
  bool claim() { return !claimed_.load(std::memory_order_relaxed) && !claimed_.exchange(true); }
  void release() { claimed_.store(false, std::memory_order_release); }

  void open(const Body& body, int64_t n, int64_t ranges, int threads) {
    body_ = &body;
    n_ = n;
    sharers_ = std::min<int64_t>(threads, ranges);
    mode_ = float_mode();
    free_.fill(ranges);
    state_.fetch_or(kOpen, std::memory_order_seq_cst);
  }

  // How many ranges nobody has taken: a guess unless the loop is known to be open.
  int left() const { return state_.load(std::memory_order_relaxed) & kOpen ? free_.count() : 0; }

  // A worker joins, takes ranges while `welcome`, and leaves.
  template <typename Welcome>
  void help(Welcome welcome) {
    uint32_t state = state_.fetch_add(1, std::memory_order_acq_rel);
    if (state & kOpen) {
      set_float_mode(mode_);
      while (welcome() && take_range()) {
      }
    }
    state = state_.fetch_sub(1, std::memory_order_acq_rel);
    if ((state & kWorkers) == 1 && (state & kCallerSleeps)) futex_wake(&state_, 1);
  }

  // The caller's part: until all ranges are taken, then until all workers have left.
  void run_all() {
    while (take_range()) {
    }
    state_.fetch_and(~kOpen, std::memory_order_relaxed);
  }

  void wait_for_workers(bool crowded) {
    auto empty = [this] { return (state_.load(std::memory_order_acquire) & kWorkers) == 0; };
    if (spin_until(empty, crowded)) return;
    uint32_t state = state_.fetch_or(kCallerSleeps, std::memory_order_acq_rel) | kCallerSleeps;
    while (state & kWorkers) {
      futex_wait(&state_, state);
      state = state_.load(std::memory_order_acquire);
    }
    state_.fetch_and(~kCallerSleeps, std::memory_order_relaxed);
  }

  std::exception_ptr take_error() {
    failed_.store(false, std::memory_order_relaxed);
    return std::exchange(error_, nullptr);
  }

 private:
  static constexpr uint32_t kWorkers = 0xffff, kOpen = 1 << 16, kCallerSleeps = 1 << 17;

  // A range of the thread's own, else one of those before: the last, to which its owner comes last.
  int64_t next_range() {
    int64_t ranges = free_.size(), own = index_in_loop % sharers_;
    int64_t begin = own * ranges / sharers_, end = (own + 1) * ranges / sharers_;
    int64_t range = free_.take_first(begin, end);
    if (range < 0) range = free_.take_last(0, begin);
    return range < 0 ? free_.take_last(end, ranges) : range;
  }

  bool take_range() {
    int64_t i = next_range();
    if (i < 0) return false;
    if (failed_.load(std::memory_order_relaxed)) return true;  // nothing more is started
    int64_t ranges = free_.size(), size = n_ / ranges, rest = n_ % ranges;
    int64_t begin = i * size + std::min(i, rest);
    try {
      (*body_)(begin, begin + size + (i < rest));
    } catch (...) {
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
    return true;
  }

  std::atomic<uint32_t> state_{0};
  alignas(kCacheLine) FreeRanges free_;
  alignas(kCacheLine) const Body* body_ = nullptr;
  int64_t n_ = 0;
  int64_t sharers_ = 1;  // threads with ranges of their own
  uint32_t mode_ = 0;    // of the caller's arithmetic
  std::atomic<bool> claimed_{false}, failed_{false};
  std::exception_ptr error_ = nullptr;
};

class Pool {
 public:
  explicit Pool(int threads) : cores_(usable_cores()), threads_(threads) {}

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int threads) {
    threads_ = threads;
    epoch_.fetch_add(1);
    futex_wake(&epoch_, kMaxThreads);
  }

  void run(Body body, int64_t n, int64_t ranges, int threads) {
    Slot* slot = claim_slot();
    if (!slot) return body(0, n);
    ensure_workers();
    callers_.fetch_add(1, std::memory_order_relaxed);
    slot->open(body, n, ranges, threads);
    announce(static_cast<int>(ranges) - 1);
    inside_loop = true;
    slot->run_all();
    inside_loop = false;
    if (callers_.fetch_sub(1, std::memory_order_relaxed) > 1) announce(1);  // room for a worker
    slot->wait_for_workers(crowded());
    std::exception_ptr error = slot->take_error();
    slot->release();
    if (error) std::rethrow_exception(error);
  }

 private:
  bool crowded() const { return threads() > cores_; }

  Slot* claim_slot() {
    for (int i = 0; i < kSlots; ++i) {
      if (!slots_[i].claim()) continue;
      int known = used_.load(std::memory_order_relaxed);
      while (known <= i && !used_.compare_exchange_weak(known, i + 1)) {
      }
      return &slots_[i];
    }
    return nullptr;
  }

  // The count before the look at the sleepers, and theirs before they look at the count again.
  void announce(int workers) {
    epoch_.fetch_add(1);
    wake(workers);
  }

  // Waking takes a microsecond or two each, so those woken wake others.
  void wake(int workers) {
    workers = std::min({workers, sleepers_.load(), kWokenByEach});
    if (workers > 0) futex_wake(&epoch_, workers);
  }

  void ensure_workers() {
    int wanted = threads() - 1;
    if (workers_.load(std::memory_order_relaxed) >= wanted) return;
    std::lock_guard lock(starting_);
    if (static_cast<int>(alive_.size()) < wanted) alive_.resize(wanted, false);
    for (int i = 0; i < wanted; ++i) {
      if (alive_[i]) continue;
      try {
        start_thread([this, i] { work(i + 1); });
      } catch (const std::system_error&) {
        return;  // fewer workers: the caller does their share
      }
      alive_[i] = true;
      ++workers_;
    }
  }

  // Callers and workers together are never more than threads().
  bool has_room(int index) const {
    return index + callers_.load(std::memory_order_relaxed) <= threads();
  }

  Slot* find_work(int index) {
    if (!has_room(index)) return nullptr;
    int used = used_.load(std::memory_order_relaxed);
    auto* found = std::find_if(slots_.begin(), slots_.begin() + used,
                               [](const Slot& slot) { return slot.left() > 0; });
    return found == slots_.begin() + used ? nullptr : found;
  }

  void work(int index) {
    inside_loop = true;
    index_in_loop = index;
    bool woken = false;
    while (!ends(index)) {
      uint32_t seen = epoch_.load();
      if (Slot* slot = find_work(index)) {
        if (std::exchange(woken, false)) wake(slot->left() - 1);
        slot->help([this, index] { return has_room(index); });
        continue;
      }
      if (spin_until([&] { return epoch_.load(std::memory_order_relaxed) != seen; }, crowded())) {
        continue;
      }
      sleepers_.fetch_add(1);
      futex_wait(&epoch_, seen);
      sleepers_.fetch_sub(1);
      woken = true;
    }
  }

  bool ends(int index) {
    if (index < threads()) return false;
    std::lock_guard lock(starting_);
    if (index < threads()) return false;
    alive_[index - 1] = false;
    --workers_;
    return true;
  }

  const int cores_;
  std::atomic<int> threads_;
  std::atomic<int> workers_{0};  // alive
  std::atomic<int> used_{0};     // slots that were ever claimed
  alignas(kCacheLine) std::atomic<uint32_t> epoch_{0};
  alignas(kCacheLine) std::atomic<int> sleepers_{0};
  alignas(kCacheLine) std::atomic<int> callers_{0};
  std::array<Slot, kSlots> slots_;
  std::mutex starting_;
  std::vector<bool> alive_;
};

int default_threads() {
  if (const char* text = std::getenv("MLX_NUM_THREADS")) {
    int wanted = std::atoi(text);
    if (wanted > 0) return std::min(wanted, kMaxThreads);
  }
  return std::min(usable_cores(), kMaxThreads);
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

// A forked child has no workers, and perhaps loops that nobody ends, so it gets a new pool.
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
  shared.run(f, n, ranges, threads);
}

}  // namespace mlx::core
