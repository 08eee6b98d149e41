// Numbering of a tape's arrays, and building nodes from numbers.
#include "mlx/transforms/recording.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <unordered_map>

#include "mlx/core/origins.h"
#include "mlx/core/tracing.h"
#include "mlx/graph/array_lists.h"

namespace mlx::core::detail {

namespace {

/** The same array, or scalars of one value. */
bool same_constant(const array& a, const array& b) {
  if (a.id() == b.id()) return true;
  auto is_scalar = [](const array& x) {
    return x.ndim() == 0 && !x.has_primitive() && !x.is_tracer() && x.is_available() &&
           x.data_shared_ptr();
  };
  return a.dtype() == b.dtype() && is_scalar(a) && is_scalar(b) &&
         std::memcmp(a.data<char>(), b.data<char>(), a.itemsize()) == 0;
}

/** Below so many nodes a graph is built soon, and fuses with what is around it. */
constexpr size_t fewest_deferred = 128;

/** What an array that is there already becomes. */
struct NodeInPlace {
  array handle;
  std::shared_ptr<Primitive> primitive;
  std::vector<array> inputs, siblings;
  size_t position;

  void take_place() noexcept {
    handle.inputs() = std::move(inputs);
    handle.primitive_ptr() = std::move(primitive);
    handle.set_siblings(std::move(siblings), static_cast<uint16_t>(position));
  }
};

}  // namespace

// Numbers by id. Constants come before the outputs of nodes, so they are found first.
class Recording::Numbering {
 public:
  explicit Numbering(const std::vector<array>& arguments) {
    for (auto& a : arguments) add(a);
  }

  uint32_t add(const array& a) {
    return numbers_.emplace(a.id(), static_cast<uint32_t>(numbers_.size())).first->second;
  }
  uint32_t operator[](const array& a) const { return numbers_.at(a.id()); }
  bool contains(const array& a) const { return numbers_.count(a.id()) > 0; }
  size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<std::uintptr_t, uint32_t> numbers_;
};

Recording::Recording(const Tape& tape, const std::vector<array>& arguments,
                     const std::vector<array>& outputs)
    : arguments_(arguments.size()) {
  std::unordered_set<std::uintptr_t> made;
  for (auto& node : tape.nodes) {
    for (auto& out : node.outputs()) made.insert(out.id());
  }
  Numbering numbers(arguments);
  auto add_constant = [&](const array& a) {
    if (!numbers.contains(a) && made.count(a.id()) == 0) {
      numbers.add(a);
      constants_.push_back(a);
    }
  };
  for (auto& node : tape.nodes) {
    for (auto& in : node.inputs()) add_constant(in);
  }
  for (auto& out : outputs) add_constant(out);
  for (auto& tape_node : tape.nodes) {
    Node node{tape_node.primitive_ptr(), {}, {}, {}, keep_call(call_of(tape_node.primitive())), {}};
    if (keeps_origins()) node.origin = origin_of(tape_node);
    for (auto& in : tape_node.inputs()) node.inputs.push_back(numbers[in]);
    for (auto& out : tape_node.outputs()) {
      numbers.add(out);
      node.shapes.push_back(out.shape());
      node.dtypes.push_back(out.dtype());
    }
    nodes_.push_back(std::move(node));
  }
  for (auto& out : outputs) outputs_.push_back(numbers[out]);
  values_ = numbers.size();
  find_made();
}

Recording::Recording(size_t arguments, std::vector<array> constants, std::vector<Node> nodes,
                     std::vector<uint32_t> outputs)
    : arguments_(arguments),
      constants_(std::move(constants)),
      nodes_(std::move(nodes)),
      outputs_(std::move(outputs)),
      values_(arguments_ + constants_.size()) {
  for (auto& node : nodes_) values_ += node.shapes.size();
  find_made();
}

void Recording::find_made() {
  const Stream* only = nodes_.empty() ? nullptr : &stream();
  deferrable_ = nodes_.size() >= fewest_deferred && std::ranges::all_of(nodes_, [&](auto& node) {
                  return node.primitive->stream() == *only;
                });
  if (!deferrable_) return;
  std::vector<uint32_t> plain(arguments_ + constants_.size());  // what each value is
  std::iota(plain.begin(), plain.end(), 0);
  size_t first_made = plain.size();
  std::vector<Output> all;
  for (auto& node : nodes_) {
    size_t passed = node.call ? node.inputs.size() - node.dtypes.size() : 0;
    for (size_t i = 0; i < node.shapes.size(); i++) {
      auto number = static_cast<uint32_t>(plain.size());
      plain.push_back(node.call ? plain[node.inputs[passed + i]] : number);
      all.push_back({number, node.shapes[i], node.dtypes[i]});
    }
  }
  std::set<uint32_t> numbers;
  for (uint32_t i : outputs_) {
    results_.push_back(plain[i]);
    if (plain[i] >= first_made) numbers.insert(plain[i]);
  }
  for (uint32_t i : numbers) made_.push_back(all[i - first_made]);
}

void Recording::replay(const Node& node, bool shapeless, std::vector<array>& values) const {
  auto inputs = take_list(node.inputs.size());
  for (uint32_t i : node.inputs) inputs.push_back(values[i]);
  if (node.call && !std::ranges::any_of(inputs, &array::is_tracer)) {
    auto results = inputs.end() - static_cast<ptrdiff_t>(node.dtypes.size());
    values.insert(values.end(), results, inputs.end());
    return;
  }
  OriginScope scope(node.origin);
  if (!shapeless && node.shapes.size() == 1 && !node.call) {
    values.emplace_back(node.shapes[0], node.dtypes[0], node.primitive, std::move(inputs));
    return;
  }
  auto shapes = shapeless ? node.primitive->output_shapes(inputs) : node.shapes;
  if (shapes.size() == 1 && !node.call) {
    values.emplace_back(std::move(shapes[0]), node.dtypes[0], node.primitive, std::move(inputs));
    return;
  }
  for (auto& out : array::make_arrays(std::move(shapes), node.dtypes, node.primitive, inputs)) {
    values.push_back(out);
  }
  if (node.call) keep_while_traced(call_of(*node.primitive));
}

std::vector<array> Recording::sources(const std::vector<array>& inputs) const {
  std::vector<array> values;
  values.reserve(values_);
  values.insert(values.end(), inputs.begin(), inputs.end());
  values.insert(values.end(), constants_.begin(), constants_.end());
  return values;
}

std::vector<array> Recording::replay_all(const std::vector<array>& inputs, bool shapeless) const {
  auto values = sources(inputs);
  for (auto& node : nodes_) replay(node, shapeless, values);
  return values;
}

std::vector<array> Recording::replay(const std::vector<array>& inputs, bool shapeless) const {
  auto values = replay_all(inputs, shapeless);
  std::vector<array> outputs;
  outputs.reserve(outputs_.size());
  for (uint32_t i : outputs_) outputs.push_back(values[i]);
  return outputs;
}

std::vector<array> Recording::defer(const std::shared_ptr<const Recording>& recording,
                                    const std::vector<array>& inputs) {
  auto made = DeferredCall::apply(recording, inputs);
  auto& numbers = recording->made_;
  auto& constants = recording->constants_;
  std::vector<array> outputs;
  outputs.reserve(recording->results_.size());
  for (uint32_t i : recording->results_) {
    if (i < inputs.size()) {
      outputs.push_back(inputs[i]);
    } else if (i < inputs.size() + constants.size()) {
      outputs.push_back(constants[i - inputs.size()]);
    } else {
      auto at = std::ranges::lower_bound(numbers, i, {}, &Output::number);
      outputs.push_back(made[static_cast<size_t>(at - numbers.begin())]);
    }
  }
  return outputs;
}

std::vector<array> Recording::build(const std::vector<array>& inputs,
                                    std::span<const Placed> placed) const {
  auto values = sources(inputs);
  std::vector<NodeInPlace> in_place;
  for (auto& node : nodes_) {
    size_t end = values.size() + node.shapes.size();
    if (placed.empty() || placed.front().number >= end) {
      replay(node, false, values);
      continue;
    }
    std::vector<array> node_inputs;
    for (uint32_t i : node.inputs) node_inputs.push_back(values[i]);
    std::vector<array> made;
    for (size_t i = 0; i < node.shapes.size(); i++) {
      if (!placed.empty() && placed.front().number == values.size()) {
        made.push_back(placed.front().handle);
        placed = placed.subspan(1);
      } else {
        made.push_back(array(node.shapes[i], node.dtypes[i], node.primitive, node_inputs));
      }
      values.push_back(made.back());
    }
    for (size_t i = 0; i < made.size(); i++) {
      std::vector<array> siblings = made;
      siblings.erase(siblings.begin() + static_cast<ptrdiff_t>(i));
      in_place.push_back({made[i], node.primitive, node_inputs, std::move(siblings), i});
    }
  }
  for (auto& node : in_place) node.take_place();
  return values;
}

bool Recording::gives(const Recording& other, const std::vector<array>& inputs) const {
  bool alike = arguments_ == other.arguments_ && outputs_ == other.outputs_ &&
               std::ranges::equal(constants_, other.constants_, same_constant) &&
               std::ranges::equal(nodes_, other.nodes_, [](const Node& a, const Node& b) {
                 return a.inputs == b.inputs && a.dtypes == b.dtypes &&
                        a.primitive->stream() == b.primitive->stream() &&
                        a.primitive->is_equivalent(*b.primitive);
               });
  if (!alike) return false;
  auto values = replay_all(inputs, /* shapeless */ true);
  size_t next = arguments_ + constants_.size();
  for (auto& node : other.nodes_) {
    for (auto& shape : node.shapes) {
      if (values[next++].shape() != shape) return false;
    }
  }
  return true;
}

void Recording::visit_calls(FunctionRef<void(const void*)> visit) const {
  for (auto& node : nodes_) {
    if (node.call) visit(node.call.get());
  }
}

}  // namespace mlx::core::detail
