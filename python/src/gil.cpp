// Who is on the way back to the GIL is counted, so that the end of the interpreter can let them in
// before it begins.
#include "python/src/gil.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "mlx/core/fork.h"
#include "mlx/core/scheduler.h"

namespace mlx::python {

namespace {

constinit std::atomic<int> returning{0};
constinit std::atomic<bool> ending{false};
constinit std::atomic<unsigned long> ending_thread{0};
constinit std::terminate_handler terminate_before = nullptr;

/** References that were dropped without the GIL. */
struct Dropped {
  std::mutex mutex;
  std::vector<PyObject*> objects;
  bool is_scheduled = false;
};

Dropped& dropped() {
  static auto* all = new Dropped;
  return *all;
}

int clear_dropped(void*) {
  std::vector<PyObject*> objects;
  {
    std::lock_guard lock(dropped().mutex);
    objects.swap(dropped().objects);
    dropped().is_scheduled = false;
  }
  for (PyObject* object : objects) {
    Py_DECREF(object);
  }
  return 0;
}

// Python may end a thread in a destructor as well, which drops a reference to an object that has a
// finalizer. C++ would end the process for that.
void terminate_at_end() {
  if (ending_thread != PyThread_get_thread_ident()) {
    wait_for_the_end();
  }
  terminate_before();
}

void end() {
  ending_thread = PyThread_get_thread_ident();
  terminate_before = std::set_terminate(terminate_at_end);
  {
    std::lock_guard lock(dropped().mutex);
    ending = true;
  }
  PyThreadState* state = PyEval_SaveThread();
  while (returning > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  scheduler::cancel_all();
  PyEval_RestoreThread(state);
  clear_dropped(nullptr);
}

const OnFork registered(ForkStage::host_language,
                        {[] { dropped().mutex.lock(); }, [] { dropped().mutex.unlock(); },
                         [] {
                           dropped().mutex.unlock();
                           returning = 0;  // of threads of the parent
                         }});

}  // namespace

void wait_for_the_end() {
  while (true) {
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

Unlocked::~Unlocked() {
  returning++;
  if (ending && ending_thread != PyThread_get_thread_ident()) {
    returning--;
    wait_for_the_end();
  }
  PyEval_RestoreThread(state_);
  returning--;
}

ComesBack::~ComesBack() {
  if (!back_) {
    wait_for_the_end();
  }
}

Locked::Locked() {
  ComesBack guard;
  state_ = PyGILState_Ensure();
  guard.is_back();
}

nb::object call_with(nb::handle function, nb::handle args, nb::handle kwargs) {
  nb::object tuple = nb::steal(PySequence_Tuple(args.ptr()));
  if (!tuple.is_valid()) {
    nb::raise_python_error();
  }
  PyObject* result = nullptr;
  {
    ComesBack guard;
    result = PyObject_Call(function.ptr(), tuple.ptr(), kwargs.ptr());
    guard.is_back();
  }
  if (!result) {
    nb::raise_python_error();
  }
  return nb::steal(result);
}

void drop_reference(nb::object object) {
  if (!object.is_valid()) {
    return;
  }
  if (Py_IsInitialized() && PyGILState_Check()) {
    object.reset();
    return;
  }
  std::lock_guard lock(dropped().mutex);
  PyObject* held = object.release().ptr();
  if (ending) {
    return;
  }
  dropped().objects.push_back(held);
  if (!dropped().is_scheduled) {
    dropped().is_scheduled = Py_AddPendingCall(clear_dropped, nullptr) == 0;
  }
}

void bind_exit() { nb::module_::import_("atexit").attr("register")(nb::cpp_function(&end)); }

}  // namespace mlx::python
