// An event: work on one stream tells other streams and threads that it is done.
#pragma once

#include <memory>

#include "mlx/stream.h"

namespace mlx::core {

class Event {
 public:
  /** Without a stream: no event at all (`valid` is false). */
  Event() = default;
  explicit Event(Stream stream);

  bool valid() const { return state_ != nullptr; }
  const Stream& stream() const;

  /** Blocks until signalled; polls `interrupt_requested` meanwhile and throws when it is set. */
  void wait() const;
  void signal() const;
  bool is_signaled() const;

  bool operator==(const Event& other) const { return state_ == other.state_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mlx::core
