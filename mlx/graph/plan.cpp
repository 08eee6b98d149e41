// From a walk over the graph to steps on streams.
#include "mlx/graph/plan.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <unordered_map>
#include <unordered_set>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/graph/passes/epilogue.h"
#include "mlx/graph/passes/generator.h"
#include "mlx/graph/passes/prologue.h"
#include "mlx/graph/walk.h"
#include "mlx/primitives/fused.h"

namespace mlx::core::detail {

namespace {

std::atomic<bool> fusion{true};

class Planner {
 public:
  explicit Planner(const std::vector<array>& outputs)
      : walk_(outputs), made_by_(walk_.nodes.size()) {}

  Plan run() {
    auto groups = fuse(walk_, fusion_enabled());
    auto prologues = fusion_enabled() ? find_prologues(walk_, groups) : Prologues();
    auto epilogues = fusion_enabled() ? find_epilogues(walk_, groups) : Epilogues();
    generators_ = fusion_enabled() ? find_generators(walk_, groups) : Generators();
    for (size_t g = 0; g < groups.size(); g++) {
      uint32_t first = groups[g][0];
      if (generators_.contains(first) || epilogues.contains(first)) continue;
      auto prologue = prologues.of_reduction.find(g);
      auto product = epilogues.product_of.find(g);
      if (product != epilogues.product_of.end()) {
        add(product_step(product->second, first));
      } else if (prologue != prologues.of_reduction.end()) {
        add(reduction_step(first, std::move(prologue->second)));
      } else if (prologues.absorbed.empty() || !prologues.absorbed[g]) {
        bool single = groups[g].size() == 1 && !generators_.reads(g);
        add(single ? single_step(first) : fused_step(groups[g]));
      }
    }
    detach_graph();
    return std::move(plan_);
  }

 private:
  Step single_step(uint32_t i) {
    const array& handle = *walk_.nodes[i].handle;
    return {handle.primitive_ptr(), handle.inputs(), handle.outputs(), {}, {}};
  }

  Step fused_step(const Group& group) {
    auto [program, inputs, outputs] = build_program(walk_, group);
    auto stream = walk_.nodes[group[0]].handle->primitive().stream();
    auto generated = replace_by_keys(walk_, generators_, inputs);
    return {std::make_shared<Fused>(stream, std::move(program), std::move(generated)),
            std::move(inputs),
            std::move(outputs),
            {},
            {}};
  }

  Step reduction_step(uint32_t i, Prologue prologue) {
    const array& handle = *walk_.nodes[i].handle;
    auto stream = handle.primitive().stream();
    auto node = std::make_shared<FusedReduce>(stream, std::move(prologue.program),
                                              std::move(prologue.shape), handle.primitive_ptr());
    return {node, std::move(prologue.inputs), handle.outputs(), {}, {}};
  }

  Step product_step(uint32_t product, uint32_t result) {
    const array &made = *walk_.nodes[product].handle, &handle = *walk_.nodes[result].handle;
    auto stream = handle.primitive().stream();
    return {std::make_shared<RectifiedProduct>(stream, made.primitive_ptr()),
            made.inputs(),
            handle.outputs(),
            {},
            {}};
  }

  void add(Step step) {
    size_t b = batch_for(step.primitive->stream());
    for (auto& in : step.inputs) {
      wait_for(in, b, step);
      plan_.bytes += in.nbytes();
    }
    for (auto& out : step.outputs) {
      plan_.bytes += out.nbytes();
      scheduled_.push_back(out);
      out.attach_event(plan_.batches[b].done);
      made_by_[walk_.index_of(out)] = {b, plan_.batches[b].steps.size()};
    }
    plan_.batches[b].steps.push_back(std::move(step));
  }

  size_t batch_for(const Stream& s) {
    for (size_t b = 0; b < plan_.batches.size(); b++) {
      if (plan_.batches[b].stream == s) {
        return b;
      }
    }
    plan_.batches.emplace_back(s);
    return plan_.batches.size() - 1;
  }

  // What another stream makes is waited for: a step of this plan by an event of its own, earlier
  // work by the event that its array carries.
  void wait_for(const array& in, size_t batch, Step& step) {
    const Stream& stream = plan_.batches[batch].stream;
    if (uint32_t producer_node = walk_.index_of(in); producer_node != Walk::none) {
      auto [b, position] = made_by_[producer_node];
      if (b != batch) {
        Step& producer = plan_.batches[b].steps[position];
        if (!producer.done.valid()) {
          producer.done = Event(plan_.batches[b].stream);
        }
        step.waits.push_back(producer.done);
      }
    } else if (!in.is_available() && in.event().valid() && in.event().stream() != stream) {
      step.waits.push_back(in.event());
    }
  }

  // Traced arrays keep their graph: the transform that traces them still reads it.
  void detach_graph() {
    for (auto& a : scheduled_) {
      a.set_status(array::Status::evaluated);
      if (!a.is_tracer()) {
        a.detach();
      }
    }
  }

  struct Position {
    size_t batch;
    size_t step;
  };

  Walk walk_;
  std::vector<Position> made_by_;  // by index of the node
  Generators generators_;
  Plan plan_;
  std::vector<array> scheduled_;
};

// What is made from a failed array fails, and what is made from a doubtful one is as doubtful.
void pass_on_failure(const array& in, const std::vector<array>& outputs) {
  if (auto failure = in.error()) {
    std::rethrow_exception(failure);
  }
  if (in.doubts().empty() || in.is_available()) {
    return;
  }
  for (auto& out : outputs) {
    out.add_doubts(in.doubts());
  }
}

void run_step(Step& step) {
  for (auto& event : step.waits) {
    event.wait_on(step.primitive->stream());
  }
  for (auto& in : step.inputs) {
    pass_on_failure(in, step.outputs);
  }
  if (step.primitive->device() == Device::cpu) {
    step.primitive->eval_cpu(step.inputs, step.outputs);
  } else {
    step.primitive->eval_gpu(step.inputs, step.outputs);
  }
  for (auto& out : step.outputs) {
    check(out.data_shared_ptr() != nullptr, step.primitive->name(),
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

}  // namespace

void Batch::run() {
  using Clock = std::chrono::steady_clock;
  constexpr auto pause = std::chrono::milliseconds(20);
  uint64_t interrupts = interrupt_count();
  auto last_look = Clock::now();
  if (stream.device.type == Device::gpu) {
    gpu_backend()->begin_batch(stream, steps.size());
  }
  for (size_t k = 0; k < steps.size(); k++) {
    if (interrupt_count() != interrupts && Clock::now() - last_look > pause) {
      drop_unwanted(k);
      last_look = Clock::now();
    }
    run(steps[k]);
  }
  done.signal();
}

void Batch::run(Step& step) {
  try {
    if (step.primitive) {
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
  step.inputs.clear();
  step.outputs.clear();
  step.primitive = nullptr;
}

void Batch::drop_unwanted(size_t next) {
  UnwantedSteps unwanted(steps, next);
  for (size_t k = next; k < steps.size(); k++) {
    if (unwanted.contains(k)) {
      steps[k].inputs.clear();
      steps[k].outputs.clear();
      steps[k].primitive = nullptr;
    }
  }
}

Plan make_plan(const std::vector<array>& outputs) { return Planner(outputs).run(); }

void set_fusion_enabled(bool enabled) { fusion = enabled; }
bool fusion_enabled() { return fusion; }

}  // namespace mlx::core::detail
