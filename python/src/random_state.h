// mlx.core.random.state: one object for all threads, which shows each thread its own key. Trees
// that contain it, as the captured state of compiled functions, see a list of that key.
#pragma once

#include "python/src/bindings.h"

namespace mlx::python {

/** The key that this thread's next draw is split from. */
class RandomState {
 public:
  static array key();
  /** Throws ValueError unless `key` is one. */
  static void set_key(const array& key);
};

inline bool is_random_state(nb::handle h) { return nb::isinstance<RandomState>(h); }

void bind_random_state(nb::module_& random);

}  // namespace mlx::python
