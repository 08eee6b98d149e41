// Tracing functions for nodes that hold them.
#include "mlx/transforms/subgraph.h"

#include <algorithm>
#include <unordered_set>

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "mlx/graph/passes/simplify.h"
#include "mlx/graph/tape.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

namespace {

std::vector<Shape> shapes_of(const std::vector<array>& arrays) {
  std::vector<Shape> shapes;
  for (auto& a : arrays) shapes.push_back(a.shape());
  return shapes;
}

/** Scalars stay in graphs; everything else may belong to somebody, a transform for instance. */
bool is_plain_scalar(const array& a) {
  return a.ndim() == 0 && !a.has_primitive() && !a.is_tracer() && a.is_available() &&
         a.data_shared_ptr();
}

std::vector<Dtype> dtypes_of(const std::vector<array>& arrays) {
  std::vector<Dtype> dtypes;
  for (auto& a : arrays) dtypes.push_back(a.dtype());
  return dtypes;
}

struct Traced {
  Tape tape;
  std::vector<array> outputs;
};

/** Collects what graphs read beside their arguments. */
class Captures {
 public:
  explicit Captures(const std::vector<array>& arguments) {
    for (auto& a : arguments) known_.insert(a.id());
  }

  void add_all(const Traced& traced) {
    for (auto& node : traced.tape.nodes) {
      for (auto& out : node.outputs()) known_.insert(out.id());
    }
    for (auto& node : traced.tape.nodes) {
      for (auto& in : node.inputs()) add(in);
    }
    for (auto& out : traced.outputs) add(out);
  }

  std::vector<array> take() { return std::move(captured_); }

 private:
  void add(const array& a) {
    if (!is_plain_scalar(a) && known_.insert(a.id()).second) captured_.push_back(a);
  }

  std::unordered_set<std::uintptr_t> known_;
  std::vector<array> captured_;
};

}  // namespace

Subgraph::Subgraph(Recording recording, const std::vector<array>& inputs,
                   const std::vector<array>& outputs)
    : recording_(std::move(recording)),
      input_shapes_(shapes_of(inputs)),
      shapes_(shapes_of(outputs)),
      input_dtypes_(dtypes_of(inputs)),
      dtypes_(dtypes_of(outputs)) {}

std::vector<array> Subgraph::operator()(const std::vector<array>& inputs) const {
  bool same =
      std::ranges::equal(inputs, input_shapes_, [](auto& a, auto& b) { return a.shape() == b; });
  return recording_.replay(inputs, !same);
}

std::vector<Shape> Subgraph::output_shapes(const std::vector<array>& inputs) const {
  std::vector<array> outlines;
  for (auto& in : inputs) {
    outlines.emplace_back(in.shape(), in.dtype(), nullptr, std::vector<array>{});
  }
  return shapes_of((*this)(outlines));
}

Subgraphs trace_subgraphs(const char* op, const std::vector<ControlFunction>& functions,
                          const std::vector<array>& like, const Stream& s) {
  StreamContext context(s);
  TracingScope scope;
  std::vector<array> arguments;
  for (auto& a : like) arguments.push_back(make_placeholder(a.shape(), a.dtype()));
  std::vector<Traced> all;
  Captures captures(arguments);
  for (auto& function : functions) {
    auto outputs = function(arguments);
    Tape tape = record(arguments, outputs, TapeKind::all);
    simplify(tape, outputs);
    for (auto& node : tape.nodes) {
      const Stream& its = node.primitive().stream();
      check(its == s, op, node.primitive().name(), " within the function runs on ", its,
            ", but has to run on the stream of the node, ", s, ".");
    }
    all.push_back({std::move(tape), std::move(outputs)});
    captures.add_all(all.back());
  }
  Subgraphs result{{}, captures.take()};
  arguments.insert(arguments.end(), result.captured.begin(), result.captured.end());
  for (auto& [tape, outputs] : all) {
    result.graphs.push_back(
        std::make_shared<Subgraph>(Recording(tape, arguments, outputs), arguments, outputs));
  }
  return result;
}

}  // namespace mlx::core::detail
