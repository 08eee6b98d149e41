// Batching: trace for one example, then run the tape again with every node batched.
#include "mlx/transforms/vmap.h"

#include "mlx/core/errors.h"
#include "mlx/core/origins.h"
#include "mlx/core/tracing.h"
#include "mlx/graph/tape.h"
#include "mlx/ops.h"
#include "mlx/primitives.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace detail {

namespace {

struct Batched {
  array value;
  int axis;
};

using BatchedById = std::unordered_map<std::uintptr_t, Batched>;

void replay(const array& node, BatchedById& known) {
  std::vector<array> inputs;
  std::vector<int> axes;
  for (auto& in : node.inputs()) {
    auto it = known.find(in.id());
    inputs.push_back(it == known.end() ? in : it->second.value);
    axes.push_back(it == known.end() ? -1 : it->second.axis);
  }
  OriginScope scope(keeps_origins() ? origin_of(node) : "");
  auto [values, value_axes] = node.primitive().vmap(inputs, axes);
  auto outputs = node.outputs();
  for (size_t i = 0; i < outputs.size(); i++) {
    known.insert_or_assign(outputs[i].id(), Batched{values[i], value_axes[i]});
  }
}

array with_batch_axis(const array& a, int size, int out_axis) {
  Shape shape = a.shape();
  out_axis = normalize_axis_index(out_axis, static_cast<int>(a.ndim()) + 1, "[vmap] ");
  shape.insert(shape.begin() + out_axis, size);
  return broadcast_to(expand_dims(a, out_axis), shape);
}

array placed(const Batched& b, int out_axis) {
  check(out_axis != -1 || b.axis == -1, "vmap",
        "An output depends on a mapped input, so it needs an out axis.");
  return moveaxis(b.value, b.axis,
                  normalize_axis_index(out_axis, static_cast<int>(b.value.ndim()), "[vmap] "));
}

}  // namespace

int vmap_size(const std::vector<array>& inputs, const std::vector<int>& in_axes) {
  check(inputs.size() == in_axes.size(), "vmap", "Got ", in_axes.size(), " axes for ",
        inputs.size(), " inputs.");
  int size = -1;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (in_axes[i] == -1) {
      continue;
    }
    check(inputs[i].ndim() > 0, "vmap", "A scalar input has no axis to map over.");
    normalize_axis_index(in_axes[i], static_cast<int>(inputs[i].ndim()), "[vmap] ");
    int extent = inputs[i].shape(in_axes[i]);
    check(size == -1 || size == extent, "vmap", "Inconsistent axis sizes: ", size, " and ", extent,
          ".");
    size = extent;
  }
  check(size != -1, "vmap", "At least one input must have an axis to map over.");
  return size;
}

std::vector<array> vmap_arguments(const std::vector<array>& inputs,
                                  const std::vector<int>& in_axes) {
  std::vector<array> arguments;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (in_axes[i] == -1) {
      arguments.push_back(inputs[i]);
      continue;
    }
    Shape shape = inputs[i].shape();
    shape.erase(shape.begin() + in_axes[i]);
    arguments.push_back(make_placeholder(std::move(shape), inputs[i].dtype()));
  }
  return arguments;
}

std::vector<array> vmap_replay(const std::vector<array>& inputs, const std::vector<int>& in_axes,
                               const std::vector<array>& arguments,
                               const std::vector<array>& outputs,
                               const std::vector<int>& out_axes) {
  check(outputs.size() == out_axes.size(), "vmap", "Got ", out_axes.size(), " axes for ",
        outputs.size(), " outputs.");
  BatchedById known;
  std::vector<array> mapped;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (in_axes[i] != -1) {
      mapped.push_back(arguments[i]);
      known.insert_or_assign(arguments[i].id(), Batched{inputs[i], in_axes[i]});
    }
  }
  Tape tape = record(mapped, outputs, TapeKind::all);
  for (auto& node : tape.nodes) {
    replay(node, known);
  }
  int size = vmap_size(inputs, in_axes);
  std::vector<array> results;
  for (size_t i = 0; i < outputs.size(); i++) {
    auto it = known.find(outputs[i].id());
    if (it != known.end() && it->second.axis != -1) {
      results.push_back(placed(it->second, out_axes[i]));
    } else {
      const array& value = it == known.end() ? outputs[i] : it->second.value;
      results.push_back(out_axes[i] == -1 ? value : with_batch_axis(value, size, out_axes[i]));
    }
  }
  return results;
}

}  // namespace detail

std::function<std::vector<array>(const std::vector<array>&)> vmap(
    const std::function<std::vector<array>(const std::vector<array>&)>& fun,
    const std::vector<int>& in_axes, const std::vector<int>& out_axes) {
  return [fun, in_axes, out_axes](const std::vector<array>& inputs) {
    auto axes = in_axes.empty() ? std::vector<int>(inputs.size(), 0) : in_axes;
    detail::vmap_size(inputs, axes);
    for (size_t i = 0; i < inputs.size(); i++) {
      axes[i] = axes[i] < -1 ? axes[i] + static_cast<int>(inputs[i].ndim()) : axes[i];
    }
    detail::TracingScope scope;
    auto arguments = detail::vmap_arguments(inputs, axes);
    auto outputs = fun(arguments);
    auto result_axes = out_axes.empty() ? std::vector<int>(outputs.size(), 0) : out_axes;
    return detail::vmap_replay(inputs, axes, arguments, outputs, result_axes);
  };
}

std::function<array(const array&)> vmap(const std::function<array(const array&)>& fun, int in_axis,
                                        int out_axis) {
  return [fun, in_axis, out_axis](const array& a) {
    auto batched = [&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
    return vmap(batched, {in_axis}, {out_axis})({a})[0];
  };
}

std::function<array(const array&, const array&)> vmap(
    const std::function<array(const array&, const array&)>& fun, int in_axis_a, int in_axis_b,
    int out_axis) {
  return [fun, in_axis_a, in_axis_b, out_axis](const array& a, const array& b) {
    auto batched = [&fun](const std::vector<array>& in) {
      return std::vector<array>{fun(in[0], in[1])};
    };
    return vmap(batched, {in_axis_a, in_axis_b}, {out_axis})({a, b})[0];
  };
}

}  // namespace mlx::core
