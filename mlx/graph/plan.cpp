// From a walk over the graph to steps on streams: the passes, then programs, then bound arrays.
#include "mlx/graph/plan.h"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <mutex>
#include <utility>

#include "mlx/core/object_pool.h"
#include "mlx/core/try_lock.h"
#include "mlx/graph/array_lists.h"
#include "mlx/graph/deferred.h"
#include "mlx/graph/passes/epilogue.h"
#include "mlx/graph/passes/equals.h"
#include "mlx/graph/passes/fuse.h"
#include "mlx/graph/passes/generator.h"
#include "mlx/graph/passes/operand_sums.h"
#include "mlx/graph/passes/prologue.h"
#include "mlx/graph/passes/recompute.h"
#include "mlx/graph/passes/siblings.h"
#include "mlx/graph/plan_cache.h"
#include "mlx/primitives/joined.h"
#include "mlx/primitives/transforms.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

namespace {

std::atomic<bool> fusion{true}, apart{false};

// ------------------------------------------------------------------ passes

struct Pass {
  const char* name;
  StepGraph (*run)(const Walk&, StepGraph);
};

constexpr Pass passes[] = {
    {"fuse", fuse},
    {"prologues", absorb_prologues},
    {"epilogues", absorb_epilogues},
    {"generators", absorb_generators},
    {"siblings", join_siblings},
    {"sums", join_operand_sums},
    {"recompute", recompute_values},
    {"equals", join_equals},
};

/** With MLX_PRINT_PLANS=1 each pass shows what it made. */
void show(const char* name, const Walk& walk, const StepGraph& graph) {
  static const bool wanted = env::get_var("MLX_PRINT_PLANS", 0) != 0;
  if (wanted) {
    std::cerr << "-- " << name << "\n" << to_string(walk, graph);
  }
}

StepGraph run_passes(const Walk& walk) {
  StepGraph graph = separate_steps(walk);
  show("graph", walk, graph);
  for (auto& pass : passes) {
    if (!fusion_enabled()) break;
    graph = pass.run(walk, std::move(graph));
    show(pass.name, walk, graph);
  }
  return graph;
}

// ------------------------------------------------------------------ plans

class Planner {
 public:
  Planner(const Walk& walk, StepGraph graph)
      : walk_(walk), graph_(std::move(graph)), step_of_(steps_of_nodes(walk, graph_)) {}

  Plan run() {
    plan_.nodes = walk_.nodes.size();
    for (auto& step : graph_) {
      PlannedStep planned;
      planned.stream = step.stream(walk_);
      planned.root = step.root;
      planned.joined = step.joined;
      bool alone = step.generators.empty() && step.recomputed.empty() && step.epilogue.empty() &&
                   step.equals.empty() && step.prologue.size() == (step.has_root() ? 0 : 1);
      if (!alone) {
        add_recipe(step, planned);
      } else if (!step.has_root()) {
        planned.root = step.prologue[0];
      }
      find_waits(step, planned);
      plan_.steps.push_back(std::move(planned));
    }
    return std::move(plan_);
  }

 private:
  void add_recipe(const GraphStep& step, PlannedStep& planned) {
    auto recipe = std::make_shared<Recipe>();
    if (!step.prologue.empty()) {
      auto built = build_prologue(walk_, step);
      recipe->prologue = std::move(built.program);
      planned.inputs = std::move(built.inputs);
      planned.outputs = std::move(built.outputs);
      if (!step.generators.empty()) {
        recipe->generated = read_keys(step.generators, planned.inputs);
      }
    }
    for (auto& nodes : step.equals) {
      auto built = build_program(walk_, nodes);
      planned.inputs.insert(planned.inputs.end(), built.inputs.begin(), built.inputs.end());
      planned.outputs.insert(planned.outputs.end(), built.outputs.begin(), built.outputs.end());
    }
    planned.runs = 1 + step.equals.size();
    if (step.has_root()) add_root(step, *recipe, planned);
    if (!step.epilogue.empty()) {
      auto built = build_program(walk_, step.epilogue, step.root);
      recipe->epilogue = std::move(built.program);
      planned.inputs.insert(planned.inputs.end(), built.inputs.begin(), built.inputs.end());
      planned.outputs.insert(planned.outputs.end(), built.outputs.begin(), built.outputs.end());
    }
    bool has_more = step.has_root() && !walk_.first_result(step.root).siblings().empty();
    if (step.has_root() && (step.epilogue.empty() || has_more)) {
      planned.outputs.push_back(step.root);
    }
    planned.recipe = std::move(recipe);
  }

  void add_root(const GraphStep& step, Recipe& recipe, PlannedStep& planned) {
    bool fed = recipe.has_prologue();
    recipe.keeps_prologue = !fed || step.keeps_prologue;
    if (!recipe.keeps_prologue) planned.outputs.clear();
    for (uint32_t k = fed ? 1 : 0; k < walk_.input_count(step.root); k++) {
      planned.inputs.push_back({step.root, k});
    }
  }

  /** Puts the keys in the place of the words among a program's inputs; says which they are. */
  std::vector<bool> read_keys(const std::vector<uint32_t>& generators,
                              std::vector<Reading>& inputs) const {
    std::vector<bool> generated(inputs.size(), false);
    for (size_t i = 0; i < inputs.size(); i++) {
      uint32_t producer = walk_.index_of(walk_.input(inputs[i].node, inputs[i].position));
      for (uint32_t words : generators) {
        if (words == producer) {
          generated[i] = true;
          inputs[i] = {words, 0};
        }
      }
    }
    return generated;
  }

  void find_waits(const GraphStep& step, PlannedStep& planned) {
    step.for_each_node([&](uint32_t i) {
      for (size_t k = 0; k < walk_.input_count(i); k++) {
        uint32_t producer = walk_.index_of(walk_.input(i, k));
        if (producer == Walk::none || walk_.nodes[producer].stream == planned.stream) continue;
        planned.waits.push_back(step_of_[producer]);
        plan_.steps[step_of_[producer]].signals = true;
      }
    });
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<uint32_t> step_of_;
  Plan plan_;
};

// ------------------------------------------------------------------ binding

// Earlier work of another stream is waited for by the event that its array carries.
void wait_for_outside(const array& in, const Stream& stream, Step& step) {
  if (in.event().valid() && in.event().stream() != stream && !in.is_available()) {
    step.waits.push_back(in.event());
  }
}

/** Adds all outputs of a node, or all but the first. */
void add_outputs(std::vector<array>& to, const array& made, bool without_first = false) {
  if (made.siblings().empty() && !without_first) {
    to.push_back(made);
    return;
  }
  auto all = made.outputs();
  to.insert(to.end(), all.begin() + without_first, all.end());
}

/** Room for the steps of one batch, which mostly ends in another thread. */
struct SpareSteps {
  TryLock lock;
  std::vector<Step> steps;
};

SpareSteps& spare_steps() {
  static auto* spare = new SpareSteps;
  return *spare;
}

class Binder {
 public:
  Binder(const Plan& plan, const Walk& walk) : plan_(plan), walk_(walk) {
    bound_.batches.reserve(walk.streams.size());
    for (auto& stream : walk.streams) {
      bound_.batches.emplace_back(stream);
    }
    positions_.reserve(plan.steps.size());
    for (auto& planned : plan.steps) {
      if (planned.signals) signals_.emplace_back(walk.streams[planned.stream]);
    }
  }

  // All that may fail, for want of memory too, comes before the graph is touched.
  BoundPlan run() {
    if (bound_.batches.size() == 1) {
      bound_.batches[0].steps = take_steps(plan_.steps.size());
    }
    for (auto& planned : plan_.steps) {
      if (planned.recipe) {
        add_fused(planned);
      } else if (!planned.joined.empty()) {
        add_joined(planned);
      } else {
        add_single(planned);
      }
    }
    take_graph();
    return std::move(bound_);
  }

 private:
  const array& handle(uint32_t i) const { return *walk_.nodes[i].handle; }

  // What is not traced loses its graph in any case, so its inputs will move into the step.
  void add_single(const PlannedStep& planned) {
    const Node& node = walk_.nodes[planned.root];
    auto& made = const_cast<array&>(*node.handle);
    Step& step = begin(planned);
    if (node.plain) {
      step.primitive = make_pooled<Identity>(made.primitive().stream());
      step.inputs.push_back(*node.plain);
      step.outputs.push_back(made);
      finish(planned, step, nullptr);
      return;
    }
    step.primitive = made.primitive_ptr();
    step.outputs = take_list(1 + made.siblings().size());
    add_outputs(step.outputs, made);
    bool keeps_graph = made.is_tracer();
    if (keeps_graph) step.inputs = made.inputs();
    finish(planned, step, keeps_graph ? nullptr : &made);
  }

  void add_fused(const PlannedStep& planned) {
    Step& step = begin(planned);
    step.inputs = take_list(planned.inputs.size());
    for (auto [node, position] : planned.inputs) {
      step.inputs.push_back(walk_.input(node, position));
    }
    step.outputs = take_list(planned.outputs.size());
    for (uint32_t i : planned.outputs) {
      if (i == planned.root) {
        add_outputs(step.outputs, handle(i), planned.recipe->has_epilogue());
      } else {
        step.outputs.push_back(handle(i));
      }
    }
    if (planned.runs > 1) {
      step.primitive = runs_of(planned, step.outputs);
      finish(planned, step, nullptr);
      return;
    }
    bool has_root = planned.root != Walk::none;
    const array& computed = has_root && planned.recipe->has_prologue()
                                ? walk_.input(planned.root, 0)
                                : step.outputs.front();
    step.primitive = make_pooled<Fused>(walk_.streams[planned.stream], planned.recipe,
                                        has_root ? handle(planned.root).primitive_ptr() : nullptr,
                                        computed.shape());
    finish(planned, step, nullptr);
  }

  Step& begin(const PlannedStep& planned) {
    return bound_.batches[planned.stream].steps.emplace_back();
  }

  /** The program of a step as often as it runs. */
  std::shared_ptr<Primitive> runs_of(const PlannedStep& planned, const std::vector<array>& made) {
    Stream stream = walk_.streams[planned.stream];
    size_t inputs = planned.inputs.size() / planned.runs, outputs = made.size() / planned.runs;
    std::vector<Joined::Member> members;
    members.reserve(planned.runs);
    for (size_t i = 0; i < planned.runs; i++) {
      auto run = make_pooled<Fused>(stream, planned.recipe, nullptr, made[i * outputs].shape());
      members.push_back({std::move(run), inputs, outputs});
    }
    return make_pooled<Joined>(stream, std::move(members));
  }

  void add_joined(const PlannedStep& planned) {
    Step& step = begin(planned);
    std::vector<Joined::Member> members;
    size_t count = 1 + planned.joined.size();
    members.reserve(count);
    step.inputs = take_list(4 * count);
    step.outputs = take_list(count);
    auto take = [&](uint32_t i) {
      const array& made = handle(i);
      members.push_back({made.primitive_ptr(), made.inputs().size(), 1 + made.siblings().size()});
      step.inputs.insert(step.inputs.end(), made.inputs().begin(), made.inputs().end());
      add_outputs(step.outputs, made);
    };
    take(planned.root);
    for (uint32_t i : planned.joined) take(i);
    step.primitive = make_pooled<Joined>(walk_.streams[planned.stream], std::move(members));
    finish(planned, step, nullptr);
  }

  // The step gets the inputs of `taken` later, if that is not null.
  void finish(const PlannedStep& planned, Step& step, array* taken) {
    Batch& batch = bound_.batches[planned.stream];
    for (uint32_t earlier : planned.waits) {
      step.waits.push_back(at(earlier).done);
    }
    for (auto& in : taken ? taken->inputs() : step.inputs) {
      if (in.event().valid() && walk_.index_of(in) == Walk::none) {
        wait_for_outside(in, batch.stream, step);
      }
      bound_.bytes += in.nbytes();
    }
    for (auto& out : step.outputs) {
      bound_.bytes += out.nbytes();
    }
    if (planned.signals) step.done = signals_[signalled_++];
    positions_.push_back({planned.stream, batch.steps.size() - 1, taken});
  }

  Step& at(uint32_t step) {
    auto [stream, position, taken] = positions_[step];
    return bound_.batches[stream].steps[position];
  }

  void take_graph() noexcept {
    for (auto [stream, position, taken] : positions_) {
      if (taken) bound_.batches[stream].steps[position].inputs = std::move(taken->inputs());
    }
    for (auto [stream, position, taken] : positions_) {
      for (auto& a : bound_.batches[stream].steps[position].outputs) {
        a.attach_event(bound_.batches[stream].done);
        a.set_status(array::Status::evaluated);
        if (a.is_tracer()) continue;
        if (a.siblings().empty()) give_list(a.inputs());
        a.detach();
      }
    }
  }

  struct Position {
    uint32_t stream;
    size_t step;
    array* taken;
  };

  const Plan& plan_;
  const Walk& walk_;
  BoundPlan bound_;
  std::vector<Position> positions_;  // of the steps, in their batches
  std::vector<Event> signals_;       // of the steps that signal, in order
  size_t signalled_ = 0;
};

bool to_be_run(const array& a) { return a.status() == array::Status::unscheduled; }

/** Whether evaluating `a` takes one node and nothing else, as is plain without a walk. */
bool is_lone_node(const array& a) {
  return to_be_run(a) && a.has_primitive() && a.siblings().empty() && !a.is_tracer() &&
         !a.primitive().plain_form() && !DeferredCall::of(a) &&
         std::none_of(a.inputs().begin(), a.inputs().end(), to_be_run);
}

BoundPlan bind_lone_node(array a) {
  BoundPlan bound;
  Batch& batch = bound.batches.emplace_back(a.primitive().stream());
  Step& step = batch.steps.emplace_back();
  step.outputs.push_back(a);
  step.primitive = a.primitive_ptr();
  bound.bytes = a.nbytes();
  for (auto& in : a.inputs()) {
    wait_for_outside(in, batch.stream, step);
    bound.bytes += in.nbytes();
  }
  step.inputs = std::move(a.inputs());
  a.attach_event(batch.done);
  a.set_status(array::Status::evaluated);
  a.detach();
  return bound;
}

/** A graph of one node needs no search. */
const Plan& lone_plan() {
  static const auto* plan = [] {
    PlannedStep only;
    only.root = 0;
    return new Plan{{only}, 1};
  }();
  return *plan;
}

}  // namespace

Plan make_plan(const Walk& walk) { return Planner(walk, run_passes(walk)).run(); }

BoundPlan bind(const Plan& plan, const Walk& walk) { return Binder(plan, walk).run(); }

BoundPlan plan_evaluation(const std::vector<array>& outputs) {
  if (outputs.size() == 1 && is_lone_node(outputs[0])) {
    return bind_lone_node(outputs[0]);
  }
  if (fusion_enabled()) {
    if (auto bound = bind_call(outputs)) return std::move(*bound);
  }
  return plan_graph(outputs).bound;
}

PlannedGraph plan_graph(const std::vector<array>& outputs) {
  Walk walk(outputs);
  if (walk.nodes.size() == 1) {
    return {bind(lone_plan(), walk), nullptr};
  }
  if (!fusion_enabled()) {
    return {bind(make_plan(walk), walk), nullptr};
  }
  bool is_new = false;
  auto plan = plan_cache().find(walk.structure, [&] {
    is_new = true;
    return make_plan(walk);
  });
  auto bound = bind(*plan, walk);
  for (auto& batch : bound.batches) batch.is_new = is_new;
  return {std::move(bound), std::move(plan)};
}

std::vector<Step> take_steps(size_t count) {
  std::vector<Step> steps;
  if (std::unique_lock lock(spare_steps().lock, std::try_to_lock); lock) {
    steps.swap(spare_steps().steps);
  }
  steps.reserve(count);
  return steps;
}

void recycle(Batch batch) {
  constexpr size_t fewest_steps = 16, most_steps = 4096;
  batch.steps.clear();
  size_t room = batch.steps.capacity();
  if (room < fewest_steps || room > most_steps) return;
  if (std::unique_lock lock(spare_steps().lock, std::try_to_lock); lock) {
    spare_steps().steps.swap(batch.steps);
  }
}

void set_fusion_enabled(bool enabled) { fusion = enabled; }
void set_steps_apart(bool wanted) { apart = wanted; }
bool fusion_enabled() { return fusion && !apart; }

}  // namespace mlx::core::detail
