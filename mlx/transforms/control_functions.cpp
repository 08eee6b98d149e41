// cond, while_loop and scan: trace, check, one node.
#include <algorithm>

#include "mlx/control.h"
#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/transforms/control.h"

namespace mlx::core {

namespace {

using detail::joined;

std::vector<array> node_outputs(const std::shared_ptr<ControlPrimitive>& node,
                                std::vector<Shape> shapes, const std::vector<Dtype>& dtypes,
                                const std::vector<array>& inputs) {
  if (shapes.empty()) return {};
  return array::make_arrays(std::move(shapes), dtypes, node, inputs);
}

void check_flag(const char* op, const Shape& shape) {
  check(num_elements(shape) == 1, op, "The condition must have one element, not shape ", shape,
        ".");
}

/** That what a function made of a value can take its place. */
void check_kept(const char* op, const char* what, size_t n, const detail::Subgraph& graph,
                const std::vector<array>& values) {
  check(n == values.size(), op, "The function gives ", n, " arrays for ", what, " of ",
        values.size(), ".");
  for (size_t i = 0; i < n; i++) {
    check(graph.shapes()[i] == values[i].shape() && graph.dtypes()[i] == values[i].dtype(), op,
          "The function makes ", graph.dtypes()[i], graph.shapes()[i], " of ", what, " of ",
          values[i].dtype(), values[i].shape(), "; shape and dtype have to stay.");
  }
}

}  // namespace

std::vector<array> cond(const array& pred, const ControlFunction& true_fn,
                        const ControlFunction& false_fn, const std::vector<array>& operands,
                        StreamOrDevice s) {
  check_flag("cond", pred.shape());
  Stream stream = to_stream(s);
  auto [graphs, captured] = detail::trace_subgraphs("cond", {true_fn, false_fn}, operands, stream);
  const auto &yes = *graphs[0], &no = *graphs[1];
  check(yes.shapes().size() == no.shapes().size(), "cond", "The branches give ",
        yes.shapes().size(), " and ", no.shapes().size(), " arrays.");
  for (size_t i = 0; i < yes.shapes().size(); i++) {
    check(yes.shapes()[i] == no.shapes()[i] && yes.dtypes()[i] == no.dtypes()[i], "cond", "Output ",
          i, " of the branches is ", yes.dtypes()[i], yes.shapes()[i], " and ", no.dtypes()[i],
          no.shapes()[i], "; shapes and dtypes must be the same.");
  }
  auto shapes = yes.shapes();
  auto dtypes = yes.dtypes();
  return node_outputs(std::make_shared<Cond>(stream, graphs), shapes, dtypes,
                      joined(joined(operands, captured), {pred}));
}

std::vector<array> while_loop(const std::function<array(const std::vector<array>&)>& condition,
                              const ControlFunction& body, const std::vector<array>& init,
                              StreamOrDevice s) {
  Stream stream = to_stream(s);
  auto flag = [&](const std::vector<array>& values) {
    return std::vector<array>{condition(values)};
  };
  auto [graphs, captured] = detail::trace_subgraphs("while_loop", {flag, body}, init, stream);
  check_flag("while_loop", graphs[0]->shapes()[0]);
  check_kept("while_loop", "values", graphs[1]->shapes().size(), *graphs[1], init);
  auto shapes = graphs[1]->shapes();
  auto dtypes = graphs[1]->dtypes();
  return node_outputs(std::make_shared<While>(stream, graphs), shapes, dtypes,
                      joined(init, captured));
}

namespace {

int turns(const std::vector<array>& xs, std::optional<int> length) {
  check(!xs.empty() || length, "scan", "Without arrays to go along, a length is needed.");
  check(!length || *length >= 0, "scan", "The length is ", length.value_or(0), ".");
  for (auto& x : xs) {
    check(x.ndim() > 0, "scan", "A scalar has no axis to go along.");
    int n = length.value_or(xs[0].shape(0));
    check(x.shape(0) == n, "scan", "An array of shape ", x.shape(), " does not have ", n,
          " elements along its first axis.");
  }
  return length ? *length : xs[0].shape(0);
}

}  // namespace

std::pair<std::vector<array>, std::vector<array>> scan(const ScanFunction& fn,
                                                       const std::vector<array>& init,
                                                       const std::vector<array>& xs,
                                                       std::optional<int> length, bool reverse,
                                                       StreamOrDevice s) {
  Stream stream = to_stream(s);
  int n = turns(xs, length);
  std::vector<array> like = init;
  for (auto& x : xs) {
    Shape shape(x.shape().begin() + 1, x.shape().end());
    like.emplace_back(shape, x.dtype(), nullptr, std::vector<array>{});
  }
  size_t carried = 0;
  auto turn = [&](const std::vector<array>& in) {
    auto middle = in.begin() + static_cast<std::ptrdiff_t>(init.size());
    auto [carry, collected] = fn({in.begin(), middle}, {middle, in.end()});
    carried = carry.size();
    return joined(std::move(carry), collected);
  };
  auto [graphs, captured] = detail::trace_subgraphs("scan", {turn}, like, stream);
  check_kept("scan", "a carry", carried, *graphs[0], init);
  auto shapes = graphs[0]->shapes();
  for (size_t i = carried; i < shapes.size(); i++) shapes[i].insert(shapes[i].begin(), n);
  auto dtypes = graphs[0]->dtypes();
  ScanSpec spec{static_cast<int>(carried), static_cast<int>(xs.size()), n, reverse};
  auto outputs = node_outputs(std::make_shared<ScanLoop>(stream, spec, graphs), shapes, dtypes,
                              joined(joined(init, xs), captured));
  auto middle = outputs.begin() + static_cast<std::ptrdiff_t>(carried);
  return {{outputs.begin(), middle}, {middle, outputs.end()}};
}

}  // namespace mlx::core
