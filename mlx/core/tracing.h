// Whether the calling thread is inside a transform that traces a function. Arrays that are part of
// a trace keep their graph when they are evaluated.
#pragma once

namespace mlx::core::detail {

/** Some transform is tracing. */
bool in_tracing();

/** Counts one more trace on this thread while it lives. */
class TracingScope {
 public:
  TracingScope();
  ~TracingScope();
  TracingScope(const TracingScope&) = delete;
  TracingScope& operator=(const TracingScope&) = delete;
};

}  // namespace mlx::core::detail
