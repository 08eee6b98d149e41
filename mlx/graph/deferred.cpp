// What an evaluation of a call did is kept as steps over slots, so that the next one makes the
// arrays of its steps and nothing else.
#include "mlx/graph/deferred.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "mlx/core/errors.h"
#include "mlx/graph/array_lists.h"
#include "mlx/graph/nested.h"

namespace mlx::core::detail {

namespace {

// Situations come in turns at most, as with and without a result that somebody holds.
constexpr size_t most_plans = 4;

bool to_be_run(const array& a) { return a.status() == array::Status::unscheduled; }

/** Whether work of `s` reads it without waiting for another stream. */
bool is_at_hand(const array& a, const Stream& s) {
  return !to_be_run(a) && (!a.event().valid() || a.event().stream() == s || a.is_available());
}

/** Numbers of arrays by their ids. */
using Numbers = std::unordered_map<std::uintptr_t, uint32_t>;

Numbers numbers_of(const std::vector<std::uintptr_t>& ids) {
  Numbers numbers;
  numbers.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); i++) numbers.emplace(ids[i], static_cast<uint32_t>(i));
  return numbers;
}

/** Writes bound steps down as a plan of a call. */
class CallPlanner {
 public:
  CallPlanner(const KnownGraph& graph, const std::vector<std::uintptr_t>& ids)
      : graph_(graph), numbers_(numbers_of(ids)) {}

  /** Nothing if the steps have arrays that are no values of the graph, or wait for something. */
  std::optional<CallPlan> run(const std::vector<Step>& steps) {
    if (!std::ranges::all_of(steps, [&](const Step& step) { return is_known(step); })) {
      return std::nullopt;
    }
    count_readings(steps);
    find_sources(steps);
    for (auto& step : steps) add(step);
    plan_.slots = slots_.size();
    plan_.may_take_long =
        std::ranges::any_of(steps, [](const Step& step) { return is_nested(*step.primitive); });
    return std::move(plan_);
  }

 private:
  uint32_t number(const array& a) const { return numbers_.at(a.id()); }

  bool is_known(const Step& step) const {
    auto known = [&](const array& a) { return numbers_.contains(a.id()); };
    return step.primitive && step.waits.empty() && !step.done.valid() &&
           std::ranges::all_of(step.inputs, known) && std::ranges::all_of(step.outputs, known);
  }

  void count_readings(const std::vector<Step>& steps) {
    for (auto& step : steps) {
      for (auto& in : step.inputs) readings_[number(in)]++;
    }
  }

  void find_sources(const std::vector<Step>& steps) {
    std::unordered_map<uint32_t, bool> made;
    for (auto& step : steps) {
      for (auto& out : step.outputs) made[number(out)] = true;
    }
    for (auto& step : steps) {
      for (auto& in : step.inputs) {
        if (!made.contains(number(in)) && add_slot(number(in))) {
          plan_.sources.push_back(number(in));
        }
      }
    }
  }

  bool add_slot(uint32_t number) {
    return slots_.emplace(number, static_cast<uint32_t>(slots_.size())).second;
  }

  void add(const Step& step) {
    CallPlan::CallStep planned{step.primitive, {}, {}};
    for (auto& in : step.inputs) {
      uint32_t value = number(in);
      planned.inputs.push_back({slots_.at(value), --readings_[value] == 0});
    }
    for (auto& out : step.outputs) {
      bool is_read = readings_.contains(number(out));
      planned.outputs.push_back({out.shape(), out.dtype(), output_of(number(out)), is_read});
      if (is_read) add_slot(number(out));
    }
    plan_.steps.push_back(std::move(planned));
  }

  uint32_t output_of(uint32_t number) const {
    auto& made = graph_.made();
    auto it = std::ranges::lower_bound(made, number, {}, &KnownGraph::Output::number);
    return it == made.end() || it->number != number ? Walk::none
                                                    : static_cast<uint32_t>(it - made.begin());
  }

  const KnownGraph& graph_;
  Numbers numbers_;
  std::unordered_map<uint32_t, size_t> readings_;
  std::unordered_map<uint32_t, uint32_t> slots_;
  CallPlan plan_;
};

}  // namespace

/** The steps of one evaluation of a call. */
class CallSteps : public LaterSteps {
 public:
  using Held = std::vector<std::optional<array>>;

  /** `held` are those of the graph's outputs that somebody holds; `values` is what is in the first
   *  slots. */
  CallSteps(std::shared_ptr<const CallPlan> plan, std::vector<array> values, Held held, Event done)
      : plan_(std::move(plan)),
        values_(std::move(values)),
        held_(std::move(held)),
        done_(std::move(done)) {}

  bool add_some(std::vector<Step>& steps) override {
    size_t end = std::min(next_ + at_a_time, plan_->steps.size());
    bool any = next_ < end;
    while (next_ < end) add(plan_->steps[next_++], steps.emplace_back());
    return any;
  }

  void fail(const std::exception_ptr& reason) override {
    for (auto& held : held_) {
      if (held && !held->data_shared_ptr()) held->set_error(reason);
    }
  }

 private:
  // The device has work for longer than it takes to bind so many.
  static constexpr size_t at_a_time = 64;

  void add(const CallPlan::CallStep& planned, Step& step) {
    step.primitive = planned.primitive;
    step.inputs = take_list(planned.inputs.size());
    for (auto [slot, is_last] : planned.inputs) {
      step.inputs.push_back(is_last ? std::move(values_[slot]) : values_[slot]);
    }
    step.outputs = take_list(planned.outputs.size());
    for (auto& made : planned.outputs) {
      step.outputs.push_back(output(made));
      if (made.is_read) values_.push_back(step.outputs.back());
    }
  }

  array output(const CallPlan::Made& made) const {
    if (made.output != Walk::none && held_[made.output]) return *held_[made.output];
    array a(made.shape, made.dtype, nullptr, {});
    a.attach_event(done_);
    a.set_status(array::Status::evaluated);
    return a;
  }

  std::shared_ptr<const CallPlan> plan_;
  std::vector<array> values_;
  Held held_;
  Event done_;
  size_t next_ = 0;
};

/** Binds one evaluation of a call. */
class CallBinder {
 public:
  CallBinder(DeferredCall& call, const std::vector<array>& outputs)
      : call_(call), graph_(*call.graph_), outputs_(outputs), mark_(new_walk_id()) {}

  /** Whether no output is another's, and what the call reads is at hand. */
  bool applies() { return finds_held() && reads_what_is_at_hand(); }

  BoundPlan run() {
    auto& plans = graph_.plans_;
    plans.remove_if([](auto& plan) { return plan->plan.expired(); });
    auto fits = [&](auto& plan) { return plan->situation == situation_; };
    auto known = std::ranges::find_if(plans, fits);
    if (known == plans.end()) return bind_graph();
    plans.splice(plans.begin(), plans, known);
    return bind(plans.front());
  }

 private:
  bool finds_held() {
    for (auto& out : outputs_) {
      if (!to_be_run(out)) continue;
      if (out.primitive_id() != reinterpret_cast<std::uintptr_t>(static_cast<Primitive*>(&call_))) {
        return false;
      }
      out.walk_mark().walk = mark_;
    }
    held_.reserve(call_.outputs_.size());
    for (auto& output : call_.outputs_) {
      uint64_t index = held_.size();
      auto& held = held_.emplace_back(output.lock());
      if (held && held->walk_mark().walk == mark_) continue;
      if (held && held->size() <= Walk::small_array) {
        outputs_.push_back(*held);  // a loss beside the state costs nothing
        continue;
      }
      situation_.push_back(index << 3 | (held ? 5 : 4));
    }
    return true;
  }

  /** Notes what planning sees of them beside their sorts. */
  bool reads_what_is_at_hand() {
    uint32_t index = 0;
    for (auto& a : call_.inputs_) {
      if (!is_at_hand(a, call_.stream())) return false;
      note_place(a, index);
      if (Walk::is_zero(a)) situation_.push_back(uint64_t{index} << 32 | 2);
      index++;
    }
    for (auto& a : graph_.constants()) {
      if (!is_at_hand(a, call_.stream())) return false;
      note_place(a, index++);
    }
    return true;
  }

  /** Notes that an array has come before. */
  void note_place(const array& a, uint32_t index) {
    auto& mark = a.walk_mark();
    if (mark.walk == mark_) {
      situation_.push_back(uint64_t{index} << 32 | uint64_t{mark.index} << 2 | 1);
      return;
    }
    mark.walk = mark_;
    mark.index = index;
  }

  BoundPlan bind_graph() {
    held_.clear();  // so that the walk sees who else holds them
    auto ids = call_.build();
    auto planned = plan_graph(outputs_);
    auto& batches = planned.bound.batches;
    // A call that comes again will come often.
    if (planned.plan && !batches[0].is_new && batches.size() == 1 && has_made_all_held()) {
      if (auto plan = CallPlanner(graph_, ids).run(batches[0].steps)) {
        plan->plan = planned.plan;
        plan->situation = std::move(situation_);
        plan->bytes = planned.bound.bytes;
        graph_.plans_.push_front(std::make_shared<const CallPlan>(std::move(*plan)));
        if (graph_.plans_.size() > most_plans) graph_.plans_.pop_back();
      }
    }
    return std::move(planned.bound);
  }

  /** Whether nothing is left for a later evaluation. */
  bool has_made_all_held() const {
    return std::ranges::none_of(call_.outputs_, [](auto& output) {
      auto held = output.lock();
      return held && to_be_run(*held);
    });
  }

  // What comes later aside, all that may fail comes before the call is touched.
  BoundPlan bind(const std::shared_ptr<const CallPlan>& plan) {
    BoundPlan bound;
    Batch& batch = bound.batches.emplace_back(call_.stream());
    batch.steps = take_steps(plan->steps.size());
    std::vector<array> values;
    values.reserve(plan->slots);
    for (uint32_t number : plan->sources) values.push_back(source(number));
    batch.later = std::make_unique<CallSteps>(plan, std::move(values), held_, batch.done);
    batch.later->add_some(batch.steps);
    bound.bytes = plan->bytes;
    take_over(batch.done);
    if (plan->may_take_long) batch.complete();
    return bound;
  }

  const array& source(uint32_t number) const {
    size_t own = call_.inputs_.size();
    return number < own ? call_.inputs_[number] : graph_.constants()[number - own];
  }

  void take_over(const Event& done) noexcept {
    for (auto& held : held_) {
      if (!held) continue;
      held->attach_event(done);
      held->set_status(array::Status::evaluated);
      held->detach();
    }
    call_.inputs_.clear();
  }

  DeferredCall& call_;
  const KnownGraph& graph_;
  std::vector<array> outputs_;
  uint64_t mark_;
  std::vector<std::optional<array>> held_;
  std::vector<uint64_t> situation_;
};

std::vector<array> DeferredCall::apply(const std::shared_ptr<const KnownGraph>& graph,
                                       std::vector<array> inputs) {
  auto call = std::make_shared<DeferredCall>(graph, std::move(inputs));
  std::vector<array> outputs;
  outputs.reserve(graph->made().size());
  call->outputs_.reserve(graph->made().size());
  for (auto& made : graph->made()) {
    outputs.push_back(array(made.shape, made.dtype, call, {}));
    call->outputs_.emplace_back(outputs.back());
  }
  return outputs;
}

std::shared_ptr<DeferredCall> DeferredCall::of(const array& a) {
  static const size_t number = detail::type_number(typeid(DeferredCall));
  bool is_output = a.inputs().empty() && a.has_primitive() && a.primitive().type_number() == number;
  return is_output ? std::static_pointer_cast<DeferredCall>(a.primitive_ptr()) : nullptr;
}

size_t DeferredCall::type_number() const {
  static const size_t number = detail::type_number(typeid(DeferredCall));
  return number;
}

std::vector<std::uintptr_t> DeferredCall::build() {
  std::vector<Placed> placed;
  for (size_t i = 0; i < outputs_.size(); i++) {
    if (auto held = outputs_[i].lock()) {
      placed.push_back({graph_->made()[i].number, std::move(*held)});
    }
  }
  std::vector<std::uintptr_t> ids;
  for (auto& value : graph_->build(inputs_, placed)) ids.push_back(value.id());
  inputs_.clear();
  return ids;
}

void DeferredCall::eval_cpu(const std::vector<array>&, std::vector<array>&) {
  internal_check(false, "a call ran without its graph");
}

void DeferredCall::eval_gpu(const std::vector<array>&, std::vector<array>&) {
  internal_check(false, "a call ran without its graph");
}

std::optional<BoundPlan> bind_call(const std::vector<array>& outputs) {
  auto first = std::ranges::find_if(outputs, to_be_run);
  auto call = first == outputs.end() ? nullptr : DeferredCall::of(*first);
  if (!call) return std::nullopt;
  CallBinder binder(*call, outputs);
  return binder.applies() ? std::optional(binder.run()) : std::nullopt;
}

}  // namespace mlx::core::detail
