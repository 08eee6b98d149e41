// Checks of control flow: graphs get what the node gets, and give what it gives.
#include <algorithm>

#include "mlx/export/checks.h"
#include "mlx/transforms/control.h"

namespace mlx::core {

namespace {

/** That input `i` of a graph is an array like input `of` of the node, without its first axis if
 *  `sliced`. */
void check_input(const detail::Subgraph& graph, size_t i, size_t of, bool sliced,
                 const NodeCheck& node) {
  node.expect(graph.input_dtypes()[i] == node.dtype(of), "an input of a graph has another dtype");
  const Shape& shape = node.shape(of);
  Shape wanted(shape.begin() + sliced, shape.end());
  node.expect(graph.input_shapes()[i] == wanted, "an input of a graph has another shape");
}

void check_inputs(const detail::Subgraph& graph, size_t n, const NodeCheck& node) {
  node.expect(graph.input_shapes().size() == n, "a graph has another number of inputs");
  for (size_t i = 0; i < n; i++) check_input(graph, i, i, false, node);
}

void check_outputs(const detail::Subgraph& graph, const NodeCheck& node) {
  node.expect(graph.dtypes().size() == node.outputs(), "a graph has another number of outputs");
  for (size_t i = 0; i < node.outputs(); i++) {
    node.expect(graph.dtypes()[i] == node.output(i), "its outputs have other dtypes");
  }
}

/** That the first outputs of a graph can take the place of the node's first inputs. */
void check_carried(const detail::Subgraph& graph, size_t n, const NodeCheck& node) {
  node.expect(n <= node.inputs() && n <= graph.shapes().size(), "values are missing");
  for (size_t i = 0; i < n; i++) {
    node.expect(graph.shapes()[i] == node.shape(i) && graph.dtypes()[i] == node.dtype(i),
                "a value changes its shape or dtype");
  }
}

}  // namespace

template <>
void check_node(const Cond& p, const NodeCheck& node) {
  node.expect(p.graphs().size() == 2, "it has another number of graphs");
  node.takes(1, node.inputs());
  node.expect(node.in(node.inputs() - 1).size() == 1, "the condition is not one element");
  for (auto& graph : p.graphs()) {
    check_inputs(*graph, node.inputs() - 1, node);
    check_outputs(*graph, node);
  }
  node.expect(p.graphs()[0]->shapes() == p.graphs()[1]->shapes(), "the branches differ in shapes");
}

template <>
void check_node(const While& p, const NodeCheck& node) {
  node.expect(p.graphs().size() == 2, "it has another number of graphs");
  for (auto& graph : p.graphs()) check_inputs(*graph, node.inputs(), node);
  const auto& flag = p.graphs()[0]->shapes();
  node.expect(flag.size() == 1 && num_elements(flag[0]) == 1, "the condition is not one element");
  check_outputs(*p.graphs()[1], node);
  check_carried(*p.graphs()[1], node.outputs(), node);
}

template <>
void check_node(const ScanLoop& p, const NodeCheck& node) {
  const ScanSpec& spec = p.spec();
  node.expect(p.graphs().size() == 1, "it has another number of graphs");
  node.expect(spec.carried >= 0 && spec.scanned >= 0 && spec.length >= 0 &&
                  int64_t{spec.carried} + spec.scanned <= static_cast<int64_t>(node.inputs()),
              "values are missing");
  const auto& graph = *p.graphs()[0];
  size_t first = spec.carried, end = first + spec.scanned;
  node.expect(graph.input_shapes().size() == node.inputs(), "the graph has other inputs");
  for (size_t i = 0; i < node.inputs(); i++) {
    bool sliced = i >= first && i < end;
    node.expect(!sliced || (node.ndim(i) > 0 && node.shape(i)[0] == spec.length),
                "an input has another number of turns");
    check_input(graph, i, i, sliced, node);
  }
  check_outputs(graph, node);
  check_carried(graph, first, node);
}

}  // namespace mlx::core
