// Tracing for export.
#include "mlx/export/trace.h"

#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/core/tracing.h"
#include "mlx/export/graph.h"
#include "mlx/export/table.h"
#include "mlx/graph/passes/simplify.h"
#include "mlx/graph/tape.h"
#include "mlx/primitives/transforms.h"
#include "mlx/random.h"
#include "mlx/transforms.h"
#include "mlx/transforms/control.h"
#include "mlx/transforms/recording.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** While it lives, the thread's random keys are split from `key`. */
class KeysFrom {
 public:
  explicit KeysFrom(const array& key) : before_(random::KeySequence::default_().state()) {
    random::KeySequence::default_().set_state(key);
  }
  ~KeysFrom() { random::KeySequence::default_().set_state(before_); }
  KeysFrom(const KeysFrom&) = delete;
  KeysFrom& operator=(const KeysFrom&) = delete;

 private:
  array before_;
};

bool is_used(const array& a, const detail::Tape& tape, const std::vector<array>& outputs) {
  auto same = [&](const array& b) { return a.id() == b.id(); };
  return std::ranges::any_of(outputs, same) || std::ranges::any_of(tape.nodes, [&](auto& node) {
           return std::ranges::any_of(node.inputs(), same);
         });
}

Place place_of(const Stream& s, const Stream& callers) {
  if (s == callers) return Place::caller;
  return s.device.type == Device::cpu ? Place::cpu : Place::gpu;
}

/** The numbers of a recording's values in the stored trace: the outputs of functions with rules of
 *  their own are what these computed. */
class Renumbered {
 public:
  explicit Renumbered(size_t first_values) : to_(first_values), next_(first_values) {
    std::iota(to_.begin(), to_.end(), 0);
  }

  uint32_t operator[](uint32_t value) const { return to_[value]; }
  std::vector<uint32_t> all(const std::vector<uint32_t>& values) const {
    std::vector<uint32_t> out;
    for (uint32_t value : values) out.push_back(to_[value]);
    return out;
  }
  void add_new(size_t outputs) {
    for (size_t i = 0; i < outputs; i++) to_.push_back(next_++);
  }
  void add_same(uint32_t value) { to_.push_back(to_[value]); }

 private:
  std::vector<uint32_t> to_;
  uint32_t next_;
};

void complete(StoredTrace& trace, const detail::Recording& recording, const Stream& callers,
              ConstantPool& pool);

/** What a branch or body does. */
StoredTrace stored_graph(const detail::Subgraph& graph, const Stream& callers, ConstantPool& pool) {
  StoredTrace trace;
  for (size_t i = 0; i < graph.input_shapes().size(); i++) {
    trace.arguments.push_back({"", graph.input_shapes()[i], graph.input_dtypes()[i], {}});
  }
  complete(trace, graph.recording(), callers, pool);
  return trace;
}

void add_nodes(StoredTrace& trace, const detail::Recording& recording, const Stream& callers,
               ConstantPool& pool) {
  Renumbered numbers(trace.arguments.size() + trace.constants.size());
  for (auto& node : recording.nodes()) {
    const Primitive& primitive = *node.primitive;
    if (auto* custom = dynamic_cast<const CustomTransforms*>(&primitive)) {
      for (size_t i = custom->arguments(); i < node.inputs.size(); i++) {
        numbers.add_same(node.inputs[i]);
      }
      continue;
    }
    const ExportRow* row = export_row(primitive);
    check(row, "export_function", primitive.name(), " cannot be exported.");
    trace.nodes.push_back({std::string(row->name),
                           row->fields(primitive),
                           place_of(primitive.stream(), callers),
                           numbers.all(node.inputs),
                           node.shapes,
                           node.dtypes,
                           {}});
    if (auto* control = dynamic_cast<const ControlPrimitive*>(&primitive)) {
      for (auto& graph : control->graphs()) {
        trace.nodes.back().graphs.push_back(stored_graph(*graph, callers, pool));
      }
    }
    numbers.add_new(node.shapes.size());
  }
  trace.outputs = numbers.all(recording.outputs());
}

/** Constants, nodes and outputs. */
void complete(StoredTrace& trace, const detail::Recording& recording, const Stream& callers,
              ConstantPool& pool) {
  std::vector<array> constants = recording.constants();
  eval(constants);
  for (auto& a : constants) trace.constants.push_back(pool.add(a));
  add_nodes(trace, recording, callers, pool);
}

StoredTrace stored(const detail::Recording& recording, std::vector<StoredArgument> arguments,
                   bool draws, std::string structure, ConstantPool& pool) {
  StoredTrace trace;
  trace.arguments = std::move(arguments);
  if (draws) trace.arguments.push_back({"", {2}, uint32, {}});
  trace.draws = draws;
  trace.structure = std::move(structure);
  complete(trace, recording, to_stream({}), pool);
  return trace;
}

}  // namespace

StoredTrace trace_function(const ExportedCall& fun, const std::vector<StoredArgument>& arguments,
                           ConstantPool& constants) {
  detail::TracingScope scope;
  std::vector<array> placeholders;
  for (auto& a : arguments) {
    placeholders.push_back(detail::make_placeholder(a.shape, a.dtype));
  }
  array key = detail::make_placeholder({2}, uint32);
  std::string structure;
  std::vector<array> outputs;
  {
    KeysFrom keys(key);
    outputs = fun(placeholders, structure);
  }
  auto all = placeholders;
  all.push_back(key);
  detail::Tape tape = detail::record(all, outputs, detail::TapeKind::all);
  detail::simplify(tape, outputs);
  bool draws = is_used(key, tape, outputs);
  detail::Recording recording(tape, draws ? all : placeholders, outputs);
  return stored(recording, arguments, draws, std::move(structure), constants);
}

namespace {

struct Extent {
  size_t argument, axis;
};

/** Finds out which extents may vary, by trying. */
class ExtentTrials {
 public:
  ExtentTrials(const ExportedCall& fun, StoredTrace& trace, ConstantPool& constants)
      : fun_(fun), trace_(trace), constants_(constants), wanted_(text_of(trace)) {
    for (size_t i = 0; i < trace.callers_arguments(); i++) {
      auto& a = trace.arguments[i];
      a.extents.assign(a.shape.size(), 0);
      for (size_t axis = 0; axis < a.shape.size(); axis++) fixed_.push_back({i, axis});
    }
  }

  void run() {
    if (!fixed_.empty() && frees_each()) return;
    if (fixed_.size() <= most_single_trials) free_single();
    free_equal();
  }

 private:
  /** More traces than these are not worth their time. */
  static constexpr size_t most_single_trials = 16;

  uint32_t& number(const Extent& e) { return trace_.arguments[e.argument].extents[e.axis]; }
  ShapeElem length(const Extent& e) const { return trace_.arguments[e.argument].shape[e.axis]; }

  /** Gives all of them one new number, or each its own. */
  void release(const std::vector<Extent>& extents, bool each) {
    for (auto& e : extents) number(e) = each ? ++numbers_ : numbers_ + 1;
    numbers_ += !each;
  }
  void bind(const std::vector<Extent>& extents) {
    for (auto& e : extents) number(e) = 0;
  }

  bool frees_each() {
    release(fixed_, true);
    if (leaves_graph()) {
      fixed_.clear();
      return true;
    }
    bind(fixed_);
    numbers_ = 0;
    return false;
  }

  void free_single() {
    std::erase_if(fixed_, [&](const Extent& e) {
      release({e}, true);
      bool is_free = leaves_graph();
      if (!is_free) bind({e});
      return is_free;
    });
  }

  void free_equal() {
    while (!fixed_.empty()) {
      std::vector<Extent> equal;
      ShapeElem n = length(fixed_[0]);
      std::ranges::copy_if(fixed_, std::back_inserter(equal),
                           [&](const Extent& e) { return length(e) == n; });
      std::erase_if(fixed_, [&](const Extent& e) { return length(e) == n; });
      release(equal, false);
      if (!leaves_graph()) bind(equal);
    }
  }

  /** Whether a trace in which all free extents differ is the same graph. */
  bool leaves_graph() {
    std::vector<StoredArgument> others(trace_.arguments.begin(),
                                       trace_.arguments.begin() + trace_.callers_arguments());
    std::unordered_map<uint32_t, ShapeElem> lengths;
    for (auto& a : others) {
      for (size_t axis = 0; axis < a.shape.size(); axis++) {
        uint32_t number = a.extents[axis];
        ShapeElem& n = a.shape[axis];
        // Neither what is there nor 0 or 1, for which ops build other graphs.
        if (number) n = lengths.try_emplace(number, 2 * n + 3 + 2 * number).first->second;
      }
    }
    try {
      StoredTrace other = trace_function(fun_, others, constants_);
      return text_of(other) == wanted_ && shapes_follow(trace_, other, constants_.arrays());
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception&) {
      return false;  // the function, or a shape in its graph, needs the extent
    }
  }

  /** All of a trace but shapes. */
  static std::string text_of(const StoredTrace& trace) {
    ByteWriter to;
    to.number(trace.draws);
    for (uint32_t i : trace.constants) to.number(i);
    for (auto& node : trace.nodes) {
      to.text(node.primitive);
      write_values(to, node.fields);
      to.byte(static_cast<uint8_t>(node.place));
      to.number(node.inputs.size());
      for (uint32_t i : node.inputs) to.number(i);
      to.number(node.dtypes.size());
      for (auto dtype : node.dtypes) to.dtype(dtype);
      for (auto& graph : node.graphs) to.text(text_of(graph));
    }
    for (uint32_t i : trace.outputs) to.number(i);
    to.text(trace.structure);
    return to.bytes();
  }

  const ExportedCall& fun_;
  StoredTrace& trace_;
  ConstantPool& constants_;
  std::string wanted_;
  std::vector<Extent> fixed_;
  uint32_t numbers_ = 0;
};

}  // namespace

StoredTrace trace_shapeless(const ExportedCall& fun, const std::vector<StoredArgument>& arguments,
                            ConstantPool& constants) {
  StoredTrace trace = trace_function(fun, arguments, constants);
  ExtentTrials(fun, trace, constants).run();
  return trace;
}

}  // namespace mlx::core
