// Streams as programs see them: each thread's defaults, which are given back when the thread ends.
#include "mlx/stream.h"

#include <atomic>
#include <map>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/scheduler.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** What one thread has: its default stream of each device, and those that it alone uses. */
struct ThreadStreams {
  std::map<Device, Stream> defaults;
  std::map<Stream, Stream> local;  // by ThreadLocalStream
  std::vector<Stream> own;

  Stream take(const Device& d) {
    Stream taken = scheduler::take_stream(d, true);
    own.push_back(taken);
    return taken;
  }

  void forget() {
    defaults.clear();
    local.clear();
    for (auto& s : own) {
      scheduler::give_back(s);
    }
    own.clear();
  }

  ~ThreadStreams() { forget(); }
};

ThreadStreams& thread_streams() {
  thread_local ThreadStreams streams;
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
  auto& streams = thread_streams();
  return streams.defaults.emplace(d, streams.take(d)).first->second;
}

std::optional<Stream> peek_default_stream(Device d) {
  auto& defaults = thread_streams().defaults;
  auto it = defaults.find(d);
  return it == defaults.end() ? std::nullopt : std::optional<Stream>(it->second);
}

void set_default_stream(Stream s) {
  check_available(s.device, "set_default_stream");
  check(scheduler::stream_exists(s), "set_default_stream", "There is no ", s, ".");
  thread_streams().defaults.insert_or_assign(s.device, s);
}

Stream new_stream(Device d) {
  check_available(d, "new_stream");
  return scheduler::take_stream(d, false);
}

Stream new_thread_unsafe_stream(Device d) { return new_stream(d); }

ThreadLocalStream new_thread_local_stream(Device d) {
  check_available(d, "new_thread_local_stream");
  static std::atomic<int> next{0};
  return ThreadLocalStream(next++, d);
}

Stream stream_from_thread_local_stream(ThreadLocalStream tls) {
  auto& streams = thread_streams();
  auto it = streams.local.find(tls);
  if (it == streams.local.end()) {
    check_available(tls.device, "stream_from_thread_local_stream");
    it = streams.local.emplace(tls, streams.take(tls.device)).first;
  }
  return it->second;
}

std::vector<Stream> get_streams() { return scheduler::streams(); }

void synchronize() { synchronize(default_stream(default_device())); }

void synchronize(Stream s) {
  scheduler::wait_idle(s);
  Event passed(s);
  passed.signal();
  passed.wait();
}

void synchronize(ThreadLocalStream s) { synchronize(stream_from_thread_local_stream(s)); }

void clear_streams() {
  for (auto& s : get_streams()) {
    synchronize(s);
  }
  thread_streams().forget();
}

}  // namespace mlx::core
