// Runs steps: waits, failures and doubts of inputs, interrupts.
#include "mlx/graph/batch.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/core/scheduler.h"
#include "mlx/graph/array_lists.h"
#include "mlx/graph/prefetch_node.h"
#include "mlx/primitives/joined.h"

namespace mlx::core::detail {

namespace {

// With more doubts than these it pays to ask a device whether they are over.
constexpr size_t few_doubts = 256;

/** Whether a step asks what has become of an input: a host that reads its values does. */
bool asks_for_verdict(const array& in, Primitive& reader) {
  return in.doubts() && (reader.device() == Device::cpu || in.doubts()->size() > few_doubts);
}

std::exception_ptr failure_of(const array& in, Primitive& reader) {
  return asks_for_verdict(in, reader) ? in.error() : in.known_error();
}

// What is made from a failed array fails, and what is made from a doubtful one is as doubtful.
void pass_on_failure(const array& in, Primitive& reader, std::span<array> outputs) {
  if (auto failure = failure_of(in, reader)) {
    std::rethrow_exception(failure);
  }
  if (!in.doubts() || (asks_for_verdict(in, reader) && in.is_available())) {
    return;
  }
  for (auto& out : outputs) {
    out.add_doubts(in.doubts());
  }
}

/** What is made from each input, as far as the step says. */
void pass_on_failures(Step& step) {
  auto* joined = as_joined(*step.primitive);
  if (!joined) {
    for (auto& in : step.inputs) pass_on_failure(in, *step.primitive, step.outputs);
    return;
  }
  for (auto& part : joined->parts(step.inputs, step.outputs)) {
    for (auto& in : part.inputs) pass_on_failure(in, *step.primitive, part.outputs);
  }
}

void run_step(Step& step) {
  scheduler::check_cancelled();
  for (auto& event : step.waits) {
    event.wait_on(step.primitive->stream());
  }
  pass_on_failures(step);
  core::run_step(*step.primitive, step.inputs, step.outputs);
  for (auto& out : step.outputs) {
    check(out.data_shared_ptr() != nullptr || out.error(), step.primitive->name(),
          "An output was left without data.");
  }
}

// Finds the steps of a batch that nobody waits for any more, for instance after an interrupt. An
// array is held from outside if it has more handles than the steps that are left account for.
class UnwantedSteps {
 public:
  UnwantedSteps(const std::vector<Step>& steps, size_t next) {
    for (size_t k = next; k < steps.size(); k++) {
      for_each_array(steps[k], [this](const array& a) { handles_[a.id()]++; });
    }
    wanted_.assign(steps.size(), false);
    for (size_t k = steps.size(); k-- > next;) {
      for (auto& out : steps[k].outputs) {
        bool outside = out.use_count() > handles_[out.id()];
        wanted_[k] = wanted_[k] || outside || needed_.count(out.id()) > 0;
      }
      for (auto& in : steps[k].inputs) {
        if (wanted_[k]) {
          needed_.insert(in.id());
        }
      }
    }
  }

  bool contains(size_t k) const { return !wanted_[k]; }

 private:
  template <typename F>
  static void for_each_array(const Step& step, F&& f) {
    std::for_each(step.inputs.begin(), step.inputs.end(), f);
    std::for_each(step.outputs.begin(), step.outputs.end(), f);
  }

  std::unordered_map<std::uintptr_t, long> handles_;
  std::unordered_set<std::uintptr_t> needed_;
  std::vector<bool> wanted_;
};

/** Asks for the memory of steps that come soon: that of their lists, then that of their arrays.
 * Most of it was written by the thread that planned them. */
void prefetch_steps(const std::vector<Step>& steps, size_t next) {
  constexpr size_t lists = 4, arrays = 2;
  if (next + lists < steps.size()) {
    const Step& step = steps[next + lists];
    __builtin_prefetch(step.primitive.get());
    __builtin_prefetch(step.inputs.data());
    __builtin_prefetch(step.outputs.data());
  }
  if (next + arrays < steps.size()) {
    const Step& step = steps[next + arrays];
    for (auto& in : step.inputs) prefetch_node(in);
    for (auto& out : step.outputs) prefetch_node(out);
  }
}

}  // namespace

void Batch::run(bool is_nested) {
  using Clock = std::chrono::steady_clock;
  constexpr auto pause = std::chrono::milliseconds(20);
  uint64_t interrupts = interrupt_count();
  Clock::time_point last_look{};
  Backend* backend = backend_of(stream.device.type);
  if (is_new) {
    for (auto& step : steps) backend->foresee(*step.primitive, step.inputs, step.outputs);
  }
  backend->begin_batch(stream, steps.size(), is_nested);
  for (size_t k = 0; k < steps.size() || add_later(); k++) {
    if (interrupt_count() != interrupts && Clock::now() - last_look > pause) {
      drop_unwanted(k);
      last_look = Clock::now();
    }
    prefetch_steps(steps, k);
    run(steps[k]);
  }
  done.signal();
}

bool Batch::add_later() noexcept {
  if (!later) return false;
  try {
    if (later->add_some(steps)) return true;
  } catch (...) {
    later->fail(std::current_exception());
  }
  later = nullptr;
  return false;
}

void Batch::complete() noexcept {
  while (add_later()) {
  }
}

/** If an input of a joined step has failed, its parts run apart: the failure is that of one. */
bool Batch::run_parts(Step& step) {
  auto* joined = as_joined(*step.primitive);
  auto has_failed = [&](const array& in) { return failure_of(in, *step.primitive) != nullptr; };
  if (!joined || std::none_of(step.inputs.begin(), step.inputs.end(), has_failed)) {
    return false;
  }
  size_t input = 0, output = 0;
  for (auto& member : joined->members()) {
    Step part;
    part.primitive = member.primitive;
    part.inputs.assign(step.inputs.begin() + input, step.inputs.begin() + input + member.inputs);
    part.outputs.assign(step.outputs.begin() + output,
                        step.outputs.begin() + output + member.outputs);
    part.waits = step.waits;
    input += member.inputs;
    output += member.outputs;
    run(part);
  }
  return true;
}

void Batch::run(Step& step) {
  try {
    if (step.primitive && !run_parts(step)) {
      run_step(step);
    }
  } catch (...) {
    for (auto& out : step.outputs) {
      out.set_error(std::current_exception());
    }
  }
  if (step.done.valid()) {
    step.done.signal();
  }
  give_list(step.inputs);
  give_list(step.outputs);
  step.primitive = nullptr;
}

void Batch::drop_unwanted(size_t next) try {
  UnwantedSteps unwanted(steps, next);
  for (size_t k = next; k < steps.size(); k++) {
    if (unwanted.contains(k)) {
      steps[k].inputs.clear();
      steps[k].outputs.clear();
      steps[k].primitive = nullptr;
    }
  }
} catch (const std::bad_alloc&) {
  // Then they are run, which is right as well.
}

}  // namespace mlx::core::detail
