// Which functions transforms are tracing. Arrays that are part of a trace keep their graph when
// they are evaluated, whichever thread does it, until the trace ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace mlx::core::detail {

/** One run of a function by a transform; its arrays refer to it. */
struct Tracing {
  explicit Tracing(uint64_t number) : number(number) {}
  /** Counts traces as they begin: of two nested ones, the outer has the lower number. */
  const uint64_t number;
  mutable std::atomic<bool> under_way{true};
  /** Whether the function asked for an extent, which it may have decided something by. */
  mutable std::atomic<bool> reads_shapes{false};
};

using TracingPtr = std::shared_ptr<const Tracing>;

/** The calling thread's innermost trace, or nullptr. */
TracingPtr current_trace();

/** To be called where a traced array's extents are given to the user's function. */
void note_shape_read();

/** Of two traces that an array is part of, the one that ends last, or nullptr if both have ended.
 *  `a` may be nullptr. */
TracingPtr last_to_end(const TracingPtr& a, const TracingPtr& b);

/** Holds what nodes of traces refer to until all traces that are under way now, on whatever thread,
 *  have ended. */
void keep_while_traced(std::shared_ptr<const void> held);

/** A trace by this thread that is under way while the scope lives. */
class TracingScope {
 public:
  TracingScope();
  ~TracingScope();
  TracingScope(const TracingScope&) = delete;
  TracingScope& operator=(const TracingScope&) = delete;

 private:
  TracingPtr trace_;
  TracingScope* outer_;
  friend TracingPtr current_trace();
  friend void note_shape_read();
  friend void forget_other_threads();
};

}  // namespace mlx::core::detail
