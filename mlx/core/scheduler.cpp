// Queues of batches and their threads.
#include "mlx/core/scheduler.h"
#include "mlx/core/at_end.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/core/fork.h"
#include "mlx/core/graph_lock.h"
#include "mlx/core/interrupt.h"
#include "mlx/core/threads.h"
#include "mlx/utils.h"

namespace mlx::core {

std::recursive_mutex& graph_lock() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

namespace scheduler {

namespace {

// A thread that has had nothing to do for so long ends; the next batch starts another.
constexpr auto idle_time = std::chrono::seconds(10);

constexpr auto longest_turn = std::chrono::milliseconds(20);

thread_local bool is_stream_thread = false;

constinit std::atomic<int> cancelling{0};

// A stream's batches. Its thread starts with the first batch that needs one; others that run a
// batch themselves do not wake it, which would take them longer than a small batch does.
class Queue {
 public:
  void submit(std::function<void()> batch) {
    std::lock_guard lock(mutex_);
    if (!has_thread_) {
      start_thread([this] { work(); });
      has_thread_ = true;
    }
    batches_.push_back(std::move(batch));
    wanted_.notify_all();
  }

  bool try_acquire() {
    std::lock_guard lock(mutex_);
    bool was_idle = idle();
    busy_ = busy_ || was_idle;
    return was_idle;
  }

  void acquire() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return idle(); });
    busy_ = true;
  }

  void release() {
    std::lock_guard lock(mutex_);
    busy_ = false;
    if (is_wanted()) wanted_.notify_all();
    idle_.notify_all();
  }

  void wait_for_turn() {
    std::unique_lock lock(mutex_);
    idle_.wait_for(lock, longest_turn, [this] { return batches_.size() <= 1; });
  }

  bool wait_idle_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return idle_.wait_for(lock, time, [this] { return idle(); });
  }

  void wait_idle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return idle(); });
  }

  bool is_idle() {
    std::lock_guard lock(mutex_);
    return idle();
  }

  void set_abandoned(bool abandoned) {
    std::lock_guard lock(mutex_);
    abandoned_ = abandoned;
    if (is_wanted()) wanted_.notify_all();
  }

 private:
  bool idle() const { return !busy_ && batches_.empty(); }
  /** Whether the thread has something to do, or to end. */
  bool is_wanted() const { return !busy_ && (!batches_.empty() || abandoned_); }

  void work() {
    is_stream_thread = true;
    std::unique_lock lock(mutex_);
    while (wanted_.wait_for(lock, idle_time, [this] { return is_wanted(); }) || !idle()) {
      if (batches_.empty()) {
        break;  // abandoned
      }
      if (busy_) {
        continue;  // somebody has kept the stream for long
      }
      auto batch = std::move(batches_.front());
      batches_.pop_front();
      busy_ = true;
      idle_.notify_all();  // those who wait for their turn
      lock.unlock();
      batch();
      batch = nullptr;
      lock.lock();
      busy_ = false;
      idle_.notify_all();
    }
    has_thread_ = false;
  }

  std::mutex mutex_;
  std::condition_variable wanted_, idle_;  // for the thread, and for those who wait for the stream
  std::deque<std::function<void()>> batches_;
  bool busy_ = false;
  bool has_thread_ = false;
  bool abandoned_ = false;
};

// All streams of the process. Never destroyed: threads of streams may outlive main.
class Registry {
 public:
  static Registry& instance() {
    static auto* registry = new Registry;
    return *registry;
  }

  Stream take(Device d, bool reuse) {
    std::lock_guard lock(mutex_);
    auto is_free = [&](const Stream& s) { return s.device == d && find(s)->is_idle(); };
    auto found = reuse ? std::find_if(free_.begin(), free_.end(), is_free) : free_.end();
    if (found != free_.end()) {
      Stream taken = *found;
      free_.erase(found);
      find(taken)->set_abandoned(false);
      return taken;
    }
    auto& queues = queues_[d];
    // Lists grow first: a stream is in all of them or in none, and is given back without a failure.
    streams_.reserve(streams_.size() + 1);
    free_.reserve(streams_.size() + 1);
    queues.push_back(std::make_unique<Queue>());
    Stream made(static_cast<int>(queues.size()) - 1, d);
    streams_.push_back(made);
    return made;
  }

  void give_back(const Stream& s) {
    std::lock_guard lock(mutex_);
    find(s)->set_abandoned(true);
    free_.push_back(s);
  }

  bool contains(const Stream& s) {
    std::lock_guard lock(mutex_);
    return find(s) != nullptr;
  }

  Queue& queue(const Stream& s) {
    std::lock_guard lock(mutex_);
    Queue* found = find(s);
    check(found != nullptr, "stream", "There is no ", s, ".");
    return *found;
  }

  std::vector<Stream> streams() {
    std::lock_guard lock(mutex_);
    return streams_;
  }

  void cancel_all() {
    if (is_stream_thread) {
      return;  // its own work never ends before this call does
    }
    cancelling++;
    for (auto& s : streams()) {
      queue(s).wait_idle();
    }
    cancelling--;
    for (auto finish : finishers()) {
      finish();
    }
  }

  void call_at_end(void (*finish)()) {
    std::lock_guard lock(mutex_);
    finishers_.push_back(finish);
  }

  // The child gets none of the threads, so a fork waits for all work to end. Batches enter queues
  // under the graph lock only: held while all are idle, it keeps them so.
  void before_fork() {
    graph_lock().lock();
    while (!all_idle()) {
      graph_lock().unlock();
      for (auto& s : streams()) {
        queue(s).wait_idle();
      }
      graph_lock().lock();
    }
    mutex_.lock();
  }

  void after_fork_in_parent() {
    mutex_.unlock();
    graph_lock().unlock();
  }

  void after_fork_in_child() {
    for (auto& [device, queues] : queues_) {
      for (auto& q : queues) {
        (void)q.release();  // its lock and thread are of the parent
        q = std::make_unique<Queue>();
      }
    }
    is_stream_thread = false;
    mutex_.unlock();
    new (&graph_lock()) std::recursive_mutex;  // its owner was the parent's thread
  }

 private:
  Registry() {
    std::atexit([] { instance().cancel_all(); });
  }

  std::vector<void (*)()> finishers() {
    std::lock_guard lock(mutex_);
    return finishers_;
  }

  Queue* find(const Stream& s) {
    auto it = queues_.find(s.device);
    bool known =
        it != queues_.end() && s.index >= 0 && static_cast<size_t>(s.index) < it->second.size();
    return known ? it->second[s.index].get() : nullptr;
  }

  bool all_idle() {
    auto all = streams();
    return std::all_of(all.begin(), all.end(), [this](auto& s) { return queue(s).is_idle(); });
  }

  std::mutex mutex_;
  std::map<Device, std::vector<std::unique_ptr<Queue>>> queues_;
  std::vector<Stream> streams_;
  std::vector<Stream> free_;
  std::vector<void (*)()> finishers_;
};

const OnFork registered(ForkStage::graphs_and_streams,
                        {[] { Registry::instance().before_fork(); },
                         [] { Registry::instance().after_fork_in_parent(); },
                         [] { Registry::instance().after_fork_in_child(); }});

}  // namespace

Stream take_stream(Device d, bool reuse) { return Registry::instance().take(d, reuse); }

void give_back(const Stream& s) { Registry::instance().give_back(s); }

bool stream_exists(const Stream& s) { return Registry::instance().contains(s); }

std::vector<Stream> streams() { return Registry::instance().streams(); }

void submit(const Stream& s, std::function<void()> batch) {
  Registry::instance().queue(s).submit(std::move(batch));
}

void wait_for_turn(const Stream& s) { Registry::instance().queue(s).wait_for_turn(); }

bool try_acquire(const Stream& s) { return Registry::instance().queue(s).try_acquire(); }

void acquire(const Stream& s) { Registry::instance().queue(s).acquire(); }

void release(const Stream& s) { Registry::instance().queue(s).release(); }

void wait_idle(const Stream& s) {
  auto& queue = Registry::instance().queue(s);
  while (!queue.wait_idle_for(interrupt_period)) {
    raise_interrupts();
  }
}

void cancel_all() { Registry::instance().cancel_all(); }

void call_at_end(void (*finish)()) { Registry::instance().call_at_end(finish); }

void check_cancelled() {
  if (cancelling.load(std::memory_order_relaxed) > 0) [[unlikely]] {
    throw std::runtime_error("[eval] The process ended before this was computed.");
  }
}

}  // namespace scheduler

}  // namespace mlx::core
