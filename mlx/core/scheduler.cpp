// Streams, their queues and their threads.
#include "mlx/core/scheduler.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace scheduler {

namespace {

// A stream's batches. Its thread starts with the first batch that needs one.
class Queue {
 public:
  void submit(std::function<void()> batch) {
    std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
    if (!has_thread_) {
      std::thread([this] { work(); }).detach();
      has_thread_ = true;
    }
    changed_.notify_all();
  }

  bool try_acquire() {
    std::lock_guard lock(mutex_);
    bool idle = !busy_ && batches_.empty();
    busy_ = busy_ || idle;
    return idle;
  }

  void release() {
    std::lock_guard lock(mutex_);
    busy_ = false;
    changed_.notify_all();
  }

  void wait_idle() {
    std::unique_lock lock(mutex_);
    auto idle = [this] { return !busy_ && batches_.empty(); };
    while (!changed_.wait_for(lock, std::chrono::milliseconds(20), idle)) {
      lock.unlock();
      if (interrupt_requested()) {
        throw Interrupted();
      }
      lock.lock();
    }
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !busy_ && !batches_.empty(); });
      auto batch = std::move(batches_.front());
      batches_.pop_front();
      busy_ = true;
      lock.unlock();
      batch();
      batch = nullptr;
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> batches_;
  bool busy_ = false;
  bool has_thread_ = false;
};

// All streams of the process. Never destroyed: threads of streams may outlive main. A fork waits
// for all work to end and gives the child fresh queues, since threads do not cross a fork.
class Registry {
 public:
  static Registry& instance() {
    static auto* registry = new Registry;
    return *registry;
  }

  Stream add(Device d) {
    std::lock_guard lock(mutex_);
    auto& queues = queues_[d];
    queues.push_back(std::make_unique<Queue>());
    Stream made(static_cast<int>(queues.size()) - 1, d);
    streams_.push_back(made);
    return made;
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

 private:
  Registry() {
    pthread_atfork([] { instance().before_fork(); }, [] { instance().mutex_.unlock(); },
                   [] { instance().after_fork_in_child(); });
  }

  Queue* find(const Stream& s) {
    auto it = queues_.find(s.device);
    bool known =
        it != queues_.end() && s.index >= 0 && static_cast<size_t>(s.index) < it->second.size();
    return known ? it->second[s.index].get() : nullptr;
  }

  void before_fork() {
    for (auto& s : streams()) {
      queue(s).wait_idle();
    }
    mutex_.lock();
  }

  void after_fork_in_child() {
    for (auto& [device, queues] : queues_) {
      for (auto& q : queues) {
        (void)q.release();  // its lock and thread are of the parent
        q = std::make_unique<Queue>();
      }
    }
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::map<Device, std::vector<std::unique_ptr<Queue>>> queues_;
  std::vector<Stream> streams_;
};

}  // namespace

bool stream_exists(const Stream& s) { return Registry::instance().contains(s); }

void submit(const Stream& s, std::function<void()> batch) {
  Registry::instance().queue(s).submit(std::move(batch));
}

bool try_acquire(const Stream& s) { return Registry::instance().queue(s).try_acquire(); }

void release(const Stream& s) { Registry::instance().queue(s).release(); }

void wait_idle(const Stream& s) { Registry::instance().queue(s).wait_idle(); }

}  // namespace scheduler

namespace {

std::map<Device, Stream>& thread_default_streams() {
  thread_local std::map<Device, Stream> streams;
  return streams;
}

void check_available(const Device& d, const char* op) {
  check(is_available(d), op, "No stream on ", d, ": ", unavailable_reason(d));
}

}  // namespace

Stream default_stream(Device d) {
  if (auto known = peek_default_stream(d)) {
    return *known;
  }
  check_available(d, "default_stream");
  Stream made = scheduler::Registry::instance().add(d);
  thread_default_streams().emplace(d, made);
  return made;
}

std::optional<Stream> peek_default_stream(Device d) {
  auto& streams = thread_default_streams();
  auto it = streams.find(d);
  return it == streams.end() ? std::nullopt : std::optional<Stream>(it->second);
}

void set_default_stream(Stream s) {
  check_available(s.device, "set_default_stream");
  check(scheduler::stream_exists(s), "set_default_stream", "There is no ", s, ".");
  thread_default_streams().insert_or_assign(s.device, s);
}

Stream new_stream(Device d) {
  check_available(d, "new_stream");
  return scheduler::Registry::instance().add(d);
}

Stream new_thread_unsafe_stream(Device d) { return new_stream(d); }

ThreadLocalStream new_thread_local_stream(Device d) {
  check_available(d, "new_thread_local_stream");
  static std::atomic<int> next{0};
  return ThreadLocalStream(next++, d);
}

Stream stream_from_thread_local_stream(ThreadLocalStream tls) {
  thread_local std::map<Stream, Stream> streams;
  auto it = streams.find(tls);
  if (it == streams.end()) {
    it = streams.emplace(tls, new_stream(tls.device)).first;
  }
  return it->second;
}

std::vector<Stream> get_streams() { return scheduler::Registry::instance().streams(); }

void synchronize() { synchronize(default_stream(default_device())); }

void synchronize(Stream s) {
  scheduler::wait_idle(s);
  backend_of(s.device.type)->synchronize(s);
}

void synchronize(ThreadLocalStream s) { synchronize(stream_from_thread_local_stream(s)); }

void clear_streams() {
  for (auto& s : get_streams()) {
    synchronize(s);
  }
  thread_default_streams().clear();
}

}  // namespace mlx::core
