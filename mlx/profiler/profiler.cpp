// Records steps through the observer that every backend runs under.
#include "mlx/profiler.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/origins.h"
#include "mlx/profiler/work.h"

namespace mlx::core::profiler {

namespace {

// A step and the moments of its stream's work around it, which a device may reach later.
struct Seen {
  const Primitive* primitive;
  Step step;
  std::shared_ptr<TimeMark> begin, end;
};

std::vector<Tensor> describe(const std::vector<array>& arrays) {
  std::vector<Tensor> tensors;
  tensors.reserve(arrays.size());
  for (auto& a : arrays) {
    tensors.push_back({a.shape(), a.dtype()});
  }
  return tensors;
}

bool moves_nothing(const Primitive& primitive) {
  return primitive.type_number() != 0 && static_cast<const BuiltinPrimitive&>(primitive).is_view();
}

class Recording : public StepObserver {
 public:
  void before_step(const Primitive& primitive, const std::vector<array>& inputs) override {
    Seen& current = open_.emplace_back(Seen{&primitive, {}, nullptr, nullptr});
    current.step.inputs = describe(inputs);
    if (!moves_nothing(primitive)) {
      current.step.bytes = bytes_of(inputs);
    }
    current.begin = backend_of(primitive.stream().device.type)->mark_begin(primitive.stream());
  }

  void after_step(const Primitive& primitive, const std::vector<array>& /* inputs */,
                  const std::vector<array>& outputs) override {
    while (!open_.empty() && open_.back().primitive != &primitive) open_.pop_back();  // it failed
    if (open_.empty()) return;  // under way when recording began
    Seen current = std::move(open_.back());
    open_.pop_back();
    Step& step = current.step;
    step.stream = primitive.stream();
    current.end = backend_of(step.stream.device.type)->mark_end(step.stream);
    step.outputs = describe(outputs);
    if (!moves_nothing(primitive)) {
      step.bytes += bytes_of(outputs);
      step.operations = operations_of(primitive, step.inputs, step.outputs);
    }
    step.ops = ops_of(primitive);
    step.thread = syscall(SYS_gettid);
    step.origin = outputs.empty() ? "" : origin_of(outputs.back());
    std::lock_guard lock(mutex_);
    seen_.push_back(std::move(current));
  }

  void begin() {
    std::lock_guard lock(mutex_);
    check_state(!running_, "Steps are being recorded already.");
    seen_.clear();
    start_ = cpu_backend().mark_begin(default_stream(Device::cpu))->microseconds();
    add_step_observer(this);
    running_ = true;
  }

  std::vector<Step> end() {
    {
      std::lock_guard lock(mutex_);
      check_state(running_, "No steps are being recorded.");
      running_ = false;
    }
    try {
      for (auto& stream : get_streams()) {
        synchronize(stream);
      }
    } catch (...) {
      remove_step_observer(this);
      throw;
    }
    remove_step_observer(this);
    std::vector<Seen> seen;
    {
      std::lock_guard lock(mutex_);
      seen.swap(seen_);
    }
    return timed(seen);
  }

 private:
  static void check_state(bool right, const char* text) {
    if (!right) {
      throw std::runtime_error(std::string("[profiler] ") + text);
    }
  }

  std::vector<Step> timed(std::vector<Seen>& seen) const {
    std::vector<Step> steps;
    steps.reserve(seen.size());
    for (auto& s : seen) {
      double begin = s.begin->microseconds();
      s.step.start = begin - start_;
      s.step.duration = s.end->microseconds() - begin;
      steps.push_back(std::move(s.step));
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const Step& a, const Step& b) { return a.start < b.start; });
    return steps;
  }

  static thread_local std::vector<Seen> open_;  // a step of control flow has others within it
  std::mutex mutex_;
  bool running_ = false;
  double start_ = 0;
  std::vector<Seen> seen_;
};

thread_local std::vector<Seen> Recording::open_;

Recording& recording() {
  static auto* one = new Recording;  // a stream's thread may be within it when the process ends
  return *one;
}

}  // namespace

void start() { recording().begin(); }

std::vector<Step> stop() { return recording().end(); }

}  // namespace mlx::core::profiler
