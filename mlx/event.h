// An event: work on one stream tells other streams and threads that it is done.
#pragma once

#include <memory>

#include "mlx/stream.h"

namespace mlx::core {

/** How a device keeps events; made by the device's backend. */
class EventState {
 public:
  explicit EventState(Stream stream) : stream(stream) {}
  virtual ~EventState() = default;

  /** Called once, when the stream's work so far has been done (CPU) or queued (other devices). */
  virtual void signal() = 0;
  virtual bool is_signaled() = 0;
  /** Blocks the calling thread. */
  virtual void wait() = 0;
  /** Makes later work of `s` wait. */
  virtual void wait_on(const Stream& s) = 0;

  const Stream stream;
};

class Event {
 public:
  /** Without a stream: no event at all (`valid` is false). */
  Event() = default;
  explicit Event(Stream stream);

  bool valid() const { return state_ != nullptr; }
  const Stream& stream() const { return state_->stream; }

  /** Blocks until signalled; polls `interrupt_requested` meanwhile and throws when it is set. */
  void wait() const { state_->wait(); }
  /** As `wait`, for the work of a stream rather than for the calling thread. */
  void wait_on(const Stream& s) const { state_->wait_on(s); }
  void signal() const { state_->signal(); }
  bool is_signaled() const { return !state_ || state_->is_signaled(); }

  bool operator==(const Event& other) const { return state_ == other.state_; }

 private:
  std::shared_ptr<EventState> state_;
};

}  // namespace mlx::core
