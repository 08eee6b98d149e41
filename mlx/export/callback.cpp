// Graphs for callbacks: the same walk as for files, told in names.
#include <algorithm>

#include "mlx/export/exporter.h"
#include "mlx/export/graph.h"
#include "mlx/graph_utils.h"
#include "mlx/primitives/elementwise.h"

namespace mlx::core {

namespace {

StateT integer_state(int64_t value) {
  if (std::in_range<int>(value)) return static_cast<int>(value);
  return static_cast<size_t>(value);
}

bool are_integers(const Values& list) {
  return std::ranges::all_of(list, [](auto& v) { return std::holds_alternative<int64_t>(v); });
}

StateT list_state(const Values& list) {
  bool narrow = std::ranges::all_of(
      list, [](auto& v) { return std::in_range<ShapeElem>(std::get<int64_t>(v)); });
  Shape shape;
  Strides strides;
  for (auto& v : list) {
    strides.push_back(std::get<int64_t>(v));
    shape.push_back(static_cast<ShapeElem>(strides.back()));
  }
  return narrow ? StateT(shape) : StateT(strides);
}

void add_states(std::vector<StateT>& to, const Value& value) {
  if (const auto* list = std::get_if<Values>(&value)) {
    if (are_integers(*list)) {
      to.push_back(list_state(*list));
    } else {  // parameters that belong together
      for (auto& part : *list) add_states(to, part);
    }
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    to.push_back(integer_state(*integer));
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    to.emplace_back(*truth);
  } else if (const auto* real = std::get_if<double>(&value)) {
    to.emplace_back(*real);
  } else if (const auto* dtype = std::get_if<Dtype>(&value)) {
    to.emplace_back(*dtype);
  } else {
    to.emplace_back(std::get<std::string>(value));
  }
}

/** Tells one trace. */
class Teller {
 public:
  using Outlines = std::vector<std::tuple<std::string, Shape, Dtype>>;

  Teller(const ExportCallback& callback, const StoredTrace& trace,
         const std::vector<array>& constants)
      : callback_(callback), trace_(trace), all_constants_(constants) {
    for (auto& a : trace.arguments) values_.emplace_back("", a.shape, a.dtype);
    for (uint32_t i : trace.constants) {
      values_.emplace_back("", constants[i].shape(), constants[i].dtype());
      constants_.push_back(constants[i]);
    }
    for (auto& node : trace.nodes) {
      for (size_t i = 0; i < node.shapes.size(); i++) {
        values_.emplace_back("", node.shapes[i], node.dtypes[i]);
      }
    }
  }

  void tell() {
    size_t n = trace_.arguments.size();
    Outlines inputs, outputs;
    std::vector<std::pair<std::string, std::string>> keywords;
    std::vector<std::pair<std::string, array>> constants;
    for (size_t i = 0; i < n; i++) {
      inputs.push_back(named(i));
      const std::string& name = trace_.arguments[i].name;
      if (!name.empty()) keywords.emplace_back(name, std::get<0>(inputs.back()));
    }
    for (uint32_t i : trace_.outputs) outputs.push_back(named(i));
    for (size_t i = 0; i < constants_.size(); i++) {
      constants.emplace_back(std::get<0>(named(n + i)), constants_[i]);
    }
    callback_({{"type", "inputs"}, {"inputs", inputs}});
    callback_({{"type", "keyword_inputs"}, {"keywords", keywords}});
    callback_({{"type", "outputs"}, {"outputs", outputs}});
    callback_({{"type", "constants"}, {"constants", constants}});
    size_t next = n + constants_.size();
    for (auto& node : trace_.nodes) tell_node(node, next);
  }

 private:
  const std::tuple<std::string, Shape, Dtype>& named(size_t i) {
    std::string& name = std::get<0>(values_[i]);
    if (name.empty()) name = detail::letters(names_++);
    return values_[i];
  }

  void tell_node(const StoredNode& node, size_t& next) {
    Outlines inputs, outputs;
    for (uint32_t i : node.inputs) inputs.push_back(named(i));
    for (size_t i = 0; i < node.shapes.size(); i++) outputs.push_back(named(next++));
    auto primitive = make_primitive(node, all_constants_, default_stream(Device::cpu));
    std::vector<StateT> arguments;
    auto* elementwise = dynamic_cast<Elementwise*>(primitive.get());
    if (!elementwise || elementwise->op() == ElementwiseOp::Cast) {  // others: the name says it
      for (auto& field : node.fields) add_states(arguments, field);
    }
    callback_({{"type", "primitive"},
               {"name", std::string(primitive->name())},
               {"inputs", inputs},
               {"outputs", outputs},
               {"arguments", arguments}});
  }

  const ExportCallback& callback_;
  const StoredTrace& trace_;
  const std::vector<array>& all_constants_;
  std::vector<array> constants_;
  Outlines values_;
  size_t names_ = 0;
};

class CallbackExporter final : public TraceExporter {
 public:
  explicit CallbackExporter(ExportCallback callback) : callback_(std::move(callback)) {}

  void add(const ExportedCall& fun, const NamedArrays& arguments) override {
    std::vector<StoredArgument> stored;
    for (auto& [name, a] : arguments) stored.push_back({name, a.shape(), a.dtype(), {}});
    ConstantPool constants;
    StoredTrace trace = trace_function(fun, stored, constants);
    Teller(callback_, trace, constants.arrays()).tell();
  }
  void close() override {}

 private:
  ExportCallback callback_;
};

}  // namespace

std::unique_ptr<TraceExporter> callback_exporter(ExportCallback callback) {
  return std::make_unique<CallbackExporter>(std::move(callback));
}

}  // namespace mlx::core
