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

/** Where a thread stays whose C++ functions can neither go on nor be left any more, since the
 *  interpreter is ending. */
[[noreturn]] void wait_for_the_end();

/**
 * Around what may take the GIL in C++ functions that Python called. When the interpreter is ending,
 * Python ends other threads where they ask for the GIL, by unwinding their stacks, and C++
 * functions would be left without it in the middle of what they do. A thread that is not back
 * inside waits here for the end of the process instead.
 */
class ComesBack {
 public:
  ComesBack() = default;
  ~ComesBack();
  ComesBack(const ComesBack&) = delete;
  ComesBack& operator=(const ComesBack&) = delete;
  void is_back() { back_ = true; }

 private:
  bool back_ = false;
};

/** Takes the GIL while it lives, if this thread does not have it. */
class Locked {
 public:
  Locked();
  ~Locked() { PyGILState_Release(state_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  PyGILState_STATE state_;
};

/** `function(*args, **kwargs)`, and the same with the arguments themselves: how all code that may
 * be the user's is called. Throws nb::python_error. */
nb::object call_with(nb::handle function, nb::handle args, nb::handle kwargs = nb::handle());

template <typename... Args>
nb::object call_python(nb::handle function, const Args&... args) {
  return call_with(function, nb::make_tuple(args...));
}

/** Drops a reference on whatever thread a graph ends. Without the GIL, Python's main thread does it
 *  as soon as it can; once the interpreter is ending, nobody does. */
void drop_reference(nb::object object);

/** Cancels what is still to be computed when the interpreter ends, before it takes itself apart. */
void bind_exit();

}  // namespace mlx::python
