// Threads that live while there is something to compile. The process does not end under them, since
// the compiler's own statics would.
#include "mlx/backend/cuda/jit_ahead.h"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "mlx/core/at_end.h"
#include "mlx/core/cores.h"
#include "mlx/core/threads.h"

namespace mlx::core::cuda {

namespace {

/** Foresight may be wrong: what nobody asks for stays, so there is an end to it. */
constexpr size_t most_tasks = 512;

struct Task {
  std::function<std::string()> compile;
  enum { waiting, running, done, left } state = waiting;
  std::optional<std::string> code = {};
};

class Compilers {
 public:
  static Compilers& instance() {
    static auto* all = new Compilers;  // threads may outlive main's statics
    return *all;
  }

  void add(const std::string& digest, std::function<std::string()> compile) {
    std::lock_guard lock(mutex_);
    if (tasks_.size() >= most_tasks || tasks_.count(digest) > 0) return;
    auto task = std::make_shared<Task>(Task{std::move(compile)});
    tasks_.emplace(digest, task);
    waiting_.push_back(std::move(task));
    if (threads_ < usable_cores()) {
      start_thread([this] { work(); });
      threads_++;
    }
  }

  std::optional<std::string> take(const std::string& digest) {
    std::unique_lock lock(mutex_);
    auto found = tasks_.find(digest);
    if (found == tasks_.end()) return std::nullopt;
    auto task = found->second;
    if (task->state == Task::waiting) {
      task->state = Task::left;  // its turn has not come: the caller is faster
    }
    changed_.wait(lock, [&] { return task->state != Task::running; });
    tasks_.erase(digest);
    return task->code;
  }

  /** Lets what is under way come to its end, and nothing else begin. */
  void finish() {
    std::unique_lock lock(mutex_);
    waiting_.clear();
    changed_.wait(lock, [&] { return threads_ == 0; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!waiting_.empty()) {
      auto task = std::move(waiting_.front());
      waiting_.pop_front();
      if (task->state != Task::waiting) continue;
      task->state = Task::running;
      lock.unlock();
      auto code = result_of(*task);
      lock.lock();
      task->code = std::move(code);
      task->compile = nullptr;
      task->state = Task::done;
      changed_.notify_all();
      finish_at_exit();
    }
    threads_--;
    changed_.notify_all();
  }

  /** Again, since statics that the compiler makes as it goes end before what was registered earlier
   *  is called. */
  static void finish_at_exit() {
    [[maybe_unused]] static const int registered = std::atexit([] { instance().finish(); });
  }

  static std::optional<std::string> result_of(const Task& task) {
    try {
      return task.compile();
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Task>> tasks_;
  std::deque<std::shared_ptr<Task>> waiting_;
  int threads_ = 0;
};

}  // namespace

void compile_ahead(const std::string& digest, std::function<std::string()> compile) {
  static const int at_exit = std::atexit([] { Compilers::instance().finish(); });
  [[maybe_unused]] static const bool at_end =
      (scheduler::call_at_end([] { Compilers::instance().finish(); }), true);
  if (at_exit != 0) return;
  try {
    Compilers::instance().add(digest, std::move(compile));
  } catch (const std::exception&) {
    // No memory or no thread: then nothing is gained.
  }
}

std::optional<std::string> compiled_ahead(const std::string& digest) {
  return Compilers::instance().take(digest);
}

}  // namespace mlx::core::cuda
