// The GIL and the end of the interpreter: work without the GIL, and references that threads of the
// library drop, which never take it.
#pragma once

#include "python/src/bindings.h"

namespace mlx::python {

/** Releases the GIL while it lives. A thread that comes back when the interpreter is ending waits
 *  there, since Python would end the thread in the middle of C++ functions. */
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

/** Drops a reference on whatever thread a graph ends. Without the GIL, Python's main thread does it
 *  as soon as it can; once the interpreter is ending, nobody does. */
void drop_reference(nb::object object);

/** Cancels what is still to be computed when the interpreter ends, before it takes itself apart. */
void bind_exit();

}  // namespace mlx::python
