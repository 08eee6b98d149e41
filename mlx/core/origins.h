// Where in a user's program the nodes of graphs were made: for the profiler, for the checks of
// values and for whoever looks for the line behind a value. Nothing is asked or kept unless
// somebody wants to know.
#pragma once

#include <string>

#include "mlx/array.h"

namespace mlx::core {

/** Says where the calling thread is in the user's program, as `file.py:12`; empty if unknown. */
using OriginSource = std::string (*)();

/** Who is asked; to be set once, by the host language. */
void set_origin_source(OriginSource source);

/** From `begin_origins` on, the source is asked at each new node. Pairs nest; the end of the last
 *  one forgets what is known. */
void begin_origins();
void end_origins();
bool keeps_origins();

/** Where the node of `a` was made; empty where that is not known. */
std::string origin_of(const array& a);

/**
 * While it lives, nodes that this thread makes are said to come from where another was made, which
 * they are derived from: gradients, batches, replays. What the user's program makes meanwhile,
 * called by a rule of its own, comes from its own lines.
 */
class OriginScope {
 public:
  explicit OriginScope(std::string origin);
  /** With the node's primitive named as what the nodes are a derivative of. */
  static OriginScope derivative_of(const array& node);
  ~OriginScope();
  OriginScope(const OriginScope&) = delete;
  OriginScope& operator=(const OriginScope&) = delete;

  /** Where a node that this thread makes now comes from. */
  static std::string current();

 private:
  std::string origin_, here_;
  bool is_open_ = false;
  OriginScope* outer_ = nullptr;
};

namespace detail {

/** To be called for every new node, by its `array::id()`. */
void note_origin(std::uintptr_t node);

}  // namespace detail

}  // namespace mlx::core
