// An event: work on one stream tells other streams and threads that it is done.
#pragma once

#include <chrono>
#include <exception>
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
  /** Blocks the calling thread until signalled or for `time`; whether it is signalled. Throws the
   *  failure of the work. */
  virtual bool wait_for(std::chrono::milliseconds time) = 0;
  /** Makes later work of `s` wait. Throws the failure of the work if it is known. */
  virtual void wait_on(const Stream& s) = 0;
  /** Whether `wait_on` would return at once. */
  virtual bool is_ready_for(const Stream& s) = 0;
  /** A failure that concerns all of the work, as far as it is known. */
  virtual std::exception_ptr failure() { return nullptr; }
  /** Whether it is signalled, as far as that is known without asking the device. */
  virtual bool is_known_signaled() { return is_signaled(); }

  const Stream stream;
};

class Event {
 public:
  /** Without a stream: no event at all (`valid` is false). */
  Event() = default;
  explicit Event(Stream stream);

  bool valid() const { return state_ != nullptr; }
  const Stream& stream() const { return state_->stream; }

  /** Blocks until signalled. Lets interrupts through, so nothing may be held meanwhile that their
   *  handlers could need. */
  void wait() const;
  /** Makes later work of a stream wait. */
  void wait_on(const Stream& s) const { state_->wait_on(s); }
  bool is_ready_for(const Stream& s) const { return state_->is_ready_for(s); }
  void signal() const { state_->signal(); }
  bool is_signaled() const { return !state_ || state_->is_signaled(); }
  bool is_known_signaled() const { return !state_ || state_->is_known_signaled(); }
  std::exception_ptr failure() const { return state_ ? state_->failure() : nullptr; }

  bool operator==(const Event& other) const { return state_ == other.state_; }

 private:
  std::shared_ptr<EventState> state_;
};

}  // namespace mlx::core
