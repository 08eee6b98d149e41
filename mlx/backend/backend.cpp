// Running primitives by the backends, and finding the GPU's at run time: a library beside this one
// that may or may not be there, on a machine that may or may not have a GPU.
#include "mlx/backend/backend.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>

#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

struct Found {
  Backend* backend = nullptr;
  std::string why_not;
};

std::filesystem::path library_folder() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&gpu_backend), &info);
  return std::filesystem::path(info.dli_fname ? info.dli_fname : "").parent_path();
}

/** Files by which a driver offers its devices, on Linux itself and in its guise under Windows;
 *  MLX_ASSUME_DRIVER=1 is for where there is one that has none. */
bool may_have_driver() {
  if (env::get_var("MLX_ASSUME_DRIVER", 0) != 0) {
    return true;
  }
  for (const char* file : {"/dev/nvidiactl", "/dev/dxg"}) {
    if (access(file, F_OK) == 0) {
      return true;
    }
  }
  return false;
}

Found find_gpu_backend() {
  auto path = library_folder() / "libmlx_cuda.so";
  if (!std::filesystem::exists(path)) {
    return {nullptr, "this installation has no GPU backend."};
  }
  if (!may_have_driver()) {  // a look that costs nothing, before anything is loaded
    return {nullptr, "no GPU was found: no NVIDIA driver offers one."};
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    return {nullptr, std::string("its backend cannot be loaded: ") + dlerror()};
  }
  auto entry = reinterpret_cast<BackendEntry>(dlsym(library, backend_entry_name));
  internal_check(entry != nullptr, "the GPU backend lacks its entry");
  Found found;
  found.backend = entry(&found.why_not);
  return found;
}

const Found& gpu() {
  static const auto* found = new Found(find_gpu_backend());
  return *found;
}

// The profiler, checks of values, and those of a program that brings its own.
constinit std::array<std::atomic<StepObserver*>, 8> step_observers{};
constinit std::atomic<int> observing{0};

class HostMark : public TimeMark {
 public:
  double microseconds() override { return now_; }

 private:
  const double now_ =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
};

void eval_on_device(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  if (primitive.stream().device.type == Device::cpu) {
    primitive.eval_cpu(inputs, outputs);
  } else {
    primitive.eval_gpu(inputs, outputs);
  }
}

}  // namespace

std::shared_ptr<TimeMark> Backend::mark_begin(const Stream& /* stream */) {
  return std::make_shared<HostMark>();
}

std::shared_ptr<TimeMark> Backend::mark_end(const Stream& /* stream */) {
  return std::make_shared<HostMark>();
}

Backend* gpu_backend() { return gpu().backend; }

std::string unavailable_reason(const Device& d) {
  if (d.type == Device::gpu && !gpu_backend()) {
    return gpu().why_not;
  }
  return "there is no device with index " + std::to_string(d.index) + ".";
}

void add_step_observer(StepObserver* observer) {
  for (auto& place : step_observers) {
    StepObserver* nobody = nullptr;
    if (place.compare_exchange_strong(nobody, observer)) {
      observing++;
      return;
    }
  }
  throw std::runtime_error("[add_step_observer] There are too many observers.");
}

void remove_step_observer(StepObserver* observer) {
  for (auto& place : step_observers) {
    StepObserver* here = observer;
    if (place.compare_exchange_strong(here, nullptr)) {
      observing--;
      return;
    }
  }
}

namespace {

void run_observed(Primitive& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  std::vector<StepObserver*> observers;
  std::vector<array> kept;
  for (auto& place : step_observers) {
    if (auto* observer = place.load(std::memory_order_acquire)) {
      observers.push_back(observer);
      if (observer->reads_inputs_after_step()) kept = inputs;
    }
  }
  for (auto* observer : observers) observer->before_step(primitive, inputs);
  eval_on_device(primitive, inputs, outputs);
  for (auto* observer : observers) observer->after_step(primitive, inputs, outputs);
}

}  // namespace

void run_step(Primitive& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (observing.load(std::memory_order_acquire) == 0) [[likely]] {
    eval_on_device(primitive, inputs, outputs);
  } else {
    run_observed(primitive, inputs, outputs);
  }
}

void BuiltinPrimitive::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  cpu_backend().eval(*this, inputs, outputs);
}

void BuiltinPrimitive::eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  auto* backend = gpu_backend();
  if (!backend) fail(name(), "Cannot run on a GPU: ", unavailable_reason(Device::gpu));
  backend->eval(*this, inputs, outputs);
}

}  // namespace mlx::core
