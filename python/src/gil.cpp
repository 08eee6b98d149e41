// Who is on the way back to the GIL is counted, so that the end of the interpreter can let them in
// before it begins.
#include "python/src/gil.h"

#include <atomic>
#include <chrono>
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

void end() {
  ending_thread = PyThread_get_thread_ident();
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

Unlocked::~Unlocked() {
  returning++;
  if (ending && ending_thread != PyThread_get_thread_ident()) {
    returning--;
    while (true) {
      std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }
  PyEval_RestoreThread(state_);
  returning--;
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
