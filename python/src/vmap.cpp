// vmap over trees of Python containers, with trees of axes.
#include "mlx/transforms/vmap.h"

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "python/src/axes.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

int read_axis(nb::handle axis, int ndim, const char* op) {
  if (axis.is_none()) {
    return -1;
  }
  int value;
  check(load_int(axis.ptr(), value), op, "An axis must be an int or None.");
  return normalize_axis_index(value, ndim, std::string("[") + op + "] ");
}

void match_axes(nb::handle tree, nb::handle axes, const char* op, int extra_axes,
                std::vector<int>& out) {
  bool is_leaf = axes.is_none() || is_integer(axes.ptr());
  if (is_leaf) {
    tree_visit(tree, [&](nb::handle leaf) {
      if (auto* a = as_array(leaf)) {
        out.push_back(read_axis(axes, static_cast<int>(a->ndim()) + extra_axes, op));
      }
    });
    return;
  }
  auto is_sequence = [](nb::handle h) { return PyList_Check(h.ptr()) || PyTuple_Check(h.ptr()); };
  if (is_sequence(axes) && is_sequence(tree)) {
    check(nb::len(axes) == nb::len(tree), op, "Got ", nb::len(axes), " axes for ", nb::len(tree),
          " values.");
    for (size_t i = 0; i < nb::len(tree); i++) {
      match_axes(nb::object(tree[i]), nb::object(axes[i]), op, extra_axes, out);
    }
    return;
  }
  check(PyDict_Check(axes.ptr()) && PyDict_Check(tree.ptr()), op,
        "Axes must be ints or None, or containers of them that fit those of the values.");
  for (auto item : nb::borrow<nb::dict>(tree)) {
    nb::object axis = nb::borrow<nb::dict>(axes).attr("get")(item.first);
    match_axes(item.second, axis, op, extra_axes, out);
  }
}

class Vmap : public Transformed {
 public:
  Vmap(nb::object fun, nb::object in_axes, nb::object out_axes)
      : Transformed(std::move(fun)), in_axes_(std::move(in_axes)), out_axes_(std::move(out_axes)) {}

  std::vector<nb::object*> references() override { return {&fun_, &in_axes_, &out_axes_}; }

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) override {
    if (kwargs.size() > 0) {
      throw nb::type_error("[vmap] Keyword arguments are not supported.");
    }
    auto inputs = tree_arrays_only(args, "vmap");
    // Axes that are no sequence hold for the only argument, or for each of several.
    bool per_argument = PyTuple_Check(in_axes_.ptr()) || PyList_Check(in_axes_.ptr());
    nb::object tree = args;
    if (!per_argument && PyDict_Check(in_axes_.ptr()) && args.size() == 1) {
      tree = args[0];
    }
    auto axes = flatten_axes(tree, in_axes_, "vmap", 0);
    mlx::core::detail::vmap_size(inputs, axes);
    mlx::core::detail::TracingScope scope;
    auto arguments = mlx::core::detail::vmap_arguments(inputs, axes);
    size_t position = 0;
    nb::object filled = tree_fill(args, arguments, position);
    nb::object result = call_with(fun_, filled);
    auto outputs = tree_arrays_only(result, "vmap");
    bool in_sequence = PyTuple_Check(out_axes_.ptr()) || PyList_Check(out_axes_.ptr());
    bool names_one = as_array(result) && in_sequence && nb::len(out_axes_) == 1;
    nb::object out_axes = names_one ? nb::object(out_axes_[0]) : out_axes_;
    auto result_axes = flatten_axes(result, out_axes, "vmap", 1);
    auto batched = mlx::core::detail::vmap_replay(inputs, axes, arguments, outputs, result_axes);
    position = 0;
    return tree_fill(result, batched, position);
  }

 private:
  nb::object in_axes_;
  nb::object out_axes_;
};

}  // namespace

std::vector<int> flatten_axes(nb::handle tree, nb::handle axes, const char* op, int extra_axes) {
  std::vector<int> out;
  match_axes(tree, axes, op, extra_axes, out);
  return out;
}

void bind_vmap(nb::module_& m) {
  m.def(
      "vmap",
      [](nb::object fun, nb::object in_axes, nb::object out_axes) {
        check_callable(fun, "vmap");
        return make_transformed<Vmap>(std::move(fun), std::move(in_axes), std::move(out_axes));
      },
      "fun"_a, "in_axes"_a.none() = 0, "out_axes"_a.none() = 0,
      nb::sig("def vmap(fun: collections.abc.Callable, in_axes: object = 0, out_axes: object = 0) "
              "-> collections.abc.Callable"),
      "A function that runs `fun` for each slice along an axis of its arguments at once. Axes are\n"
      "ints, None for what is not mapped, or containers of these that fit the arguments\n"
      "(`in_axes`) and the results (`out_axes`). Raises ValueError if mapped extents differ.");
}

}  // namespace mlx::python
