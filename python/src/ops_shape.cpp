// Ops that rearrange: reshape, transpose, split, join, pad, repeat and their kin.
#include "mlx/core/errors.h"
#include "python/src/def_op.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

/** `f(2, 3)` and `f((2, 3))` mean the same: the ints behind positional arguments. */
template <typename Vector>
Vector ints_of(const nb::args& args, const char* op) {
  Vector out;
  out.reserve(args.size());
  nb::handle source = args;
  if (args.size() == 1 && !is_integer(nb::handle(args[0]).ptr())) {
    source = args[0];
  }
  if (!load_ints(source.ptr(), out)) {
    refuse_large(source.ptr());
    throw nb::type_error((std::string(op) + "() takes ints or one sequence of ints.").c_str());
  }
  return out;
}

void bind_reshape(nb::module_& m) {
  m.def(
      "reshape",
      [](const array& a, const Ints& shape, std::optional<bool> copies, StreamOrDevice s) {
        return reshape(copies.value_or(false) ? mlx::core::copy(a, s) : a, shape.shape(), s);
      },
      "a"_a, "shape"_a, nb::kw_only(), "copy"_a = nb::none(), "stream"_a = nb::none(),
      "The same elements, in order, in another shape; one extent may be -1. Arrays are values:\n"
      "whether memory is copied makes no difference but to `copy=True`, which always does.");
  array_class().def(
      "reshape",
      [](const array& a, const nb::args& shape, StreamOrDevice s) {
        return reshape(a, ints_of<Shape>(shape, "reshape"), s);
      },
      "shape"_a, nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def reshape(self, *shape: int | collections.abc.Sequence[int], stream: Stream | "
              "ThreadLocalStream | Device | DeviceType | None = None) -> array"),
      "The same elements, in order, in another shape; one extent may be -1.");
  def_with_method(
      m, "flatten",
      [](const array& a, int first, int last, StreamOrDevice s) {
        return flatten(a, first, last, s);
      },
      "start_axis"_a = 0, "end_axis"_a = -1, nb::kw_only(), "stream"_a = nb::none(),
      "The axes from `start_axis` to `end_axis` made into one.");
  m.def(
      "unflatten",
      [](const array& a, int axis, const Ints& shape, StreamOrDevice s) {
        return unflatten(a, axis, shape.shape(), s);
      },
      "a"_a, "axis"_a, "shape"_a, nb::kw_only(), "stream"_a = nb::none(),
      "One axis split into several; one extent may be -1.");
  def_with_method(
      m, "squeeze",
      [](const array& a, const Axes& axis, StreamOrDevice s) {
        return axis.all() ? squeeze(a, s) : squeeze(a, axis.values, s);
      },
      "axis"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "Without the axes of extent 1 that are named, or without all of them.");
  m.def(
      "expand_dims",
      [](const array& a, const Ints& axis, StreamOrDevice s) {
        return expand_dims(a, axis.values, s);
      },
      "a"_a, "axis"_a, nb::kw_only(), "stream"_a = nb::none(),
      "With new axes of extent 1 at the given places of the result.");
}

array transpose_by(const array& a, const std::optional<Ints>& axes, StreamOrDevice s) {
  return axes ? transpose(a, axes->values, s) : transpose(a, s);
}

array move_axes(const array& a, const Ints& source, const Ints& destination, StreamOrDevice s) {
  auto &from = source.values, &to = destination.values;
  if (from.size() == 1 && to.size() == 1) {
    return moveaxis(a, from[0], to[0], s);
  }
  check(from.size() == to.size(), "moveaxis", "Got ", from.size(), " axes for ", to.size(),
        " places.");
  int n = static_cast<int>(a.ndim());
  std::vector<int> order(n, -1);
  std::vector<bool> is_moved(n, false);
  for (size_t i = 0; i < from.size(); i++) {
    int axis = normalize_axis_index(from[i], n, "[moveaxis] ");
    int place = normalize_axis_index(to[i], n, "[moveaxis] ");
    check(!is_moved[axis] && order[place] < 0, "moveaxis", "An axis or a place comes twice.");
    is_moved[axis] = true;
    order[place] = axis;
  }
  for (int axis = 0, place = 0; axis < n; axis++) {
    if (!is_moved[axis]) {
      while (order[place] >= 0) place++;
      order[place] = axis;
    }
  }
  return transpose(a, order, s);
}

void bind_transpose(nb::module_& m) {
  m.def("transpose", &transpose_by, "a"_a, "axes"_a = nb::none(), nb::kw_only(),
        "stream"_a = nb::none(), "The axes in the given order, reversed by default.");
  def_alias(m, "permute_dims", "transpose");
  array_class().def(
      "transpose",
      [](const array& a, const nb::args& axes, StreamOrDevice s) {
        bool none = axes.size() == 0 || (axes.size() == 1 && nb::handle(axes[0]).is_none());
        return none ? transpose(a, s)
                    : transpose(a, ints_of<std::vector<int>>(axes, "transpose"), s);
      },
      "axes"_a, nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def transpose(self, *axes: int | collections.abc.Sequence[int] | None, stream: "
              "Stream | ThreadLocalStream | Device | DeviceType | None = None) -> array"),
      "The axes in the given order, reversed by default.");
  def_unary<matrix_transpose>(m, "matrix_transpose", "The last two axes swapped.");
  def_with_method(m, "swapaxes", &swapaxes, "axis1"_a, "axis2"_a, nb::kw_only(),
                  "stream"_a = nb::none(), "Two axes exchanged.");
  def_with_method(m, "moveaxis", &move_axes, "source"_a, "destination"_a, nb::kw_only(),
                  "stream"_a = nb::none(), "One axis, or several, moved to other places.");
  m.def(
      "flip",
      [](const array& a, const Axes& axis, StreamOrDevice s) {
        return axis.all() ? flip(a, s) : flip(a, axis.values, s);
      },
      "a"_a, "axis"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "The order of elements reversed along the axes, along all by default.");
}

std::vector<array> split_by(const array& a, const Ints& where, int axis, StreamOrDevice s) {
  return where.single ? split(a, where.values[0], axis, s) : split(a, where.shape(), axis, s);
}

void bind_split(nb::module_& m) {
  def_with_method(m, "split", &split_by, "indices_or_sections"_a, "axis"_a = 0, nb::kw_only(),
                  "stream"_a = nb::none(),
                  "The parts along an axis: so many equal ones, or cut at the given indices.");
  m.def(
      "unstack",
      [](const array& x, int axis, StreamOrDevice s) {
        return nb::tuple(nb::cast(unstack(x, axis, s)));
      },
      "x"_a, nb::kw_only(), "axis"_a = 0, "stream"_a = nb::none(),
      "The slices along an axis as a tuple, without that axis.");
}

std::vector<array> arrays_of(const nb::args& args) { return nb::cast<Arrays>(args).values; }

void bind_join(nb::module_& m) {
  m.def(
      "concatenate",
      [](const Arrays& arrays, std::optional<int> axis, StreamOrDevice s) {
        return axis ? concatenate(arrays.values, *axis, s) : concatenate(arrays.values, s);
      },
      "arrays"_a, "axis"_a.none() = 0, nb::kw_only(), "stream"_a = nb::none(),
      "The arrays one after the other along an axis; with None all flattened first.");
  def_alias(m, "concat", "concatenate");
  m.def(
      "stack",
      [](const Arrays& arrays, std::optional<int> axis, StreamOrDevice s) {
        return axis ? stack(arrays.values, *axis, s) : stack(arrays.values, s);
      },
      "arrays"_a, "axis"_a.none() = 0, nb::kw_only(), "stream"_a = nb::none(),
      "Arrays of one shape side by side along a new axis.");
  m.def(
      "meshgrid",
      [](const nb::args& arrays, bool sparse, const std::string& indexing, StreamOrDevice s) {
        return nb::tuple(nb::cast(meshgrid(arrays_of(arrays), sparse, indexing, s)));
      },
      "arrays"_a, "sparse"_a = false, "indexing"_a = "xy", "stream"_a = nb::none(),
      "Coordinate grids from 1-d arrays; indexing is 'xy' or 'ij'.");
  m.def(
      "broadcast_arrays",
      [](const nb::args& arrays, StreamOrDevice s) {
        return broadcast_arrays(arrays_of(arrays), s);
      },
      "arrays"_a, "stream"_a = nb::none(), "The arrays broadcast to their common shape.");
  m.def(
      "broadcast_shapes",
      [](const nb::args& shapes) {
        check(shapes.size() > 0, "broadcast_shapes", "At least one shape is required.");
        Shape out;
        for (nb::handle h : shapes) {
          out = broadcast_shapes(out, nb::cast<Shape>(h));
        }
        return out;
      },
      "The shape to which the given shapes broadcast.");
  m.def(
      "broadcast_to",
      [](Operand a, const Ints& shape, StreamOrDevice s) {
        return broadcast_to(to_array(a), shape.shape(), s);
      },
      "a"_a, "shape"_a, nb::kw_only(), "stream"_a = nb::none(),
      "The array seen in a larger shape, without a copy.");
}

/** An int, a (low, high) pair for all axes, or a pair for each axis. */
array pad_by(const array& a, nb::handle width, const std::string& mode, Operand value,
             StreamOrDevice s) {
  array fill = to_array(value, a.dtype());
  Ints plain;
  nb::detail::make_caster<Ints> ints;
  if (ints.from_python(width, 0, nullptr)) {
    auto values = static_cast<Ints&>(ints).values;
    if (values.size() == 1) {
      return pad(a, values[0], fill, mode, s);
    }
    check(values.size() == 2, "pad", "The width is an int, a pair, or a pair for each axis.");
    return pad(a, std::pair(values[0], values[1]), fill, mode, s);
  }
  std::vector<std::pair<int, int>> pairs;
  if (!nb::try_cast(width, pairs)) {
    throw nb::type_error("pad() takes an int, a pair of ints, or a pair for each axis.");
  }
  return pairs.size() == 1 ? pad(a, pairs[0], fill, mode, s) : pad(a, pairs, fill, mode, s);
}

array roll_by(const array& a, const Ints& shift, const Axes& axis, StreamOrDevice s) {
  if (axis.all()) {
    return shift.single ? roll(a, shift.values[0], s) : roll(a, shift.shape(), s);
  }
  return shift.single ? roll(a, shift.values[0], axis.values, s)
                      : roll(a, shift.shape(), axis.values, s);
}

/** Repeats by counts that an array holds: their sum is the new extent, so they are read. */
array repeat_each(const array& x, const array& repeats, int axis, StreamOrDevice s) {
  check(issubdtype(repeats.dtype(), integer) && repeats.ndim() <= 1, "repeat",
        "Repeats are ints, one or one for each element, not ", repeats.dtype(), " of shape ",
        repeats.shape(), ".");
  axis = normalize_axis_index(axis, static_cast<int>(x.ndim()), "[repeat] ");
  array counts = contiguous(broadcast_to(astype(repeats, int64, s), {x.shape(axis)}, s), false, s);
  eval_unlocked(counts);
  std::vector<int> picked;
  for (int i = 0; i < x.shape(axis); i++) {
    int64_t n = counts.data<int64_t>()[i];
    check(n >= 0 && picked.size() + n <= INT32_MAX, "repeat", "Cannot repeat ", n, " times.");
    picked.insert(picked.end(), n, i);
  }
  return take(x, array(picked.begin(), {static_cast<int>(picked.size())}), axis, s);
}

void bind_repeat(nb::module_& m) {
  m.def("pad", &pad_by, "a"_a, "pad_width"_a, "mode"_a = "constant", "constant_values"_a = 0,
        nb::kw_only(), "stream"_a = nb::none(),
        "The array with elements added before and after along each axis: `constant_values`, or\n"
        "with mode 'edge' the outermost elements.");
  m.def("roll", &roll_by, "a"_a, "shift"_a, "axis"_a = nb::none(), nb::kw_only(),
        "stream"_a = nb::none(),
        "Elements moved along the axes, those that fall off coming back at the other end; without\n"
        "axes in the flattened order.");
  m.def(
      "tile",
      [](const array& a, const Ints& reps, StreamOrDevice s) { return tile(a, reps.values, s); },
      "a"_a, "reps"_a, nb::kw_only(), "stream"_a = nb::none(),
      "The whole array repeated along each axis.");
  m.def(
      "repeat",
      [](Operand a, Operand repeats, std::optional<int> axis, StreamOrDevice s) {
        array x = axis ? to_array(a) : flatten(to_array(a), s);
        int count;
        if (load_int(repeats.object, count)) {
          return repeat(x, count, axis.value_or(0), s);
        }
        return repeat_each(x, to_array(repeats), axis.value_or(0), s);
      },
      "array"_a, "repeats"_a, "axis"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "Each element repeated along an axis, of the flattened array without one. An array of\n"
      "`repeats`, one for each element, is read.");
}

void bind_diagonals(nb::module_& m) {
  def_with_method(m, "diagonal", &diagonal, "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1,
                  "stream"_a = nb::none(),
                  "The diagonals of the matrices in two axes, as a new last axis.");
  def_with_method(m, "diag", &diag, "k"_a = 0, nb::kw_only(), "stream"_a = nb::none(),
                  "A matrix with a 1-d array on diagonal k, or diagonal k of a matrix.");
  m.def(
      "trace",
      [](const array& a, int offset, int axis1, int axis2, std::optional<Dtype> dtype,
         StreamOrDevice s) {
        return dtype ? trace(a, offset, axis1, axis2, *dtype, s)
                     : trace(a, offset, axis1, axis2, s);
      },
      "a"_a, "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1, "dtype"_a = nb::none(), nb::kw_only(),
      "stream"_a = nb::none(), "The sum of a diagonal of the matrices in two axes.");
}

using AtLeast = array (*)(const array&, StreamOrDevice);

template <AtLeast op>
void def_at_least(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const nb::args& arrays, StreamOrDevice s) -> nb::object {
        nb::list out;
        for (nb::handle h : arrays) {
          out.append(op(to_array(Operand{h.ptr()}), s));
        }
        return out.size() == 1 ? nb::object(out[0]) : nb::object(out);
      },
      "arys"_a, "stream"_a = nb::none(), doc);
}

void bind_views(nb::module_& m) {
  m.def(
      "as_strided",
      [](const array& a, const std::optional<Ints>& shape, std::optional<Strides> strides,
         size_t offset, StreamOrDevice s) {
        Shape extents = shape ? shape->shape() : a.shape();
        Strides steps(extents.size(), 1);
        for (size_t i = extents.size(); i-- > 1;) {
          steps[i - 1] = steps[i] * extents[i];
        }
        return as_strided(a, extents, strides.value_or(steps), offset, s);
      },
      "a"_a, "shape"_a = nb::none(), "strides"_a = nb::none(), "offset"_a = 0, nb::kw_only(),
      "stream"_a = nb::none(),
      "The row-major elements of `a` seen with other extents and strides (in elements).");
  m.def(
      "view", [](const array& a, Dtype t, StreamOrDevice s) { return view(a, t, s); }, "a"_a,
      "dtype"_a, "stream"_a = nb::none(),
      "The same bytes as another dtype; the last axis scales by the ratio of sizes.");
  array_class().def(
      "view", [](const array& a, Dtype t, StreamOrDevice s) { return view(a, t, s); }, "dtype"_a,
      nb::kw_only(), "stream"_a = nb::none(),
      "The same bytes as another dtype; the last axis scales by the ratio of sizes.");
  m.def("contiguous", &contiguous, "a"_a, "allow_col_major"_a = false, nb::kw_only(),
        "stream"_a = nb::none(), "The same values in row-major memory, copied only if need be.");
  def_unary<stop_gradient>(m, "stop_gradient", "The input, through which no gradient flows.");
  def_at_least<atleast_1d>(m, "atleast_1d", "The arrays with at least one axis.");
  def_at_least<atleast_2d>(m, "atleast_2d", "The arrays with at least two axes.");
  def_at_least<atleast_3d>(m, "atleast_3d", "The arrays with at least three axes.");
  m.def(
      "depends",
      [](nb::handle inputs, nb::handle dependencies) {
        auto arrays = depends(tree_arrays(inputs), tree_arrays(dependencies));
        size_t position = 0;
        return tree_fill(inputs, arrays, position);
      },
      "inputs"_a, "dependencies"_a,
      "The inputs (an array or a tree of arrays), not to be computed before `dependencies`.");
}

}  // namespace

void bind_shape(nb::module_& m) {
  bind_reshape(m);
  bind_transpose(m);
  bind_split(m);
  bind_join(m);
  bind_repeat(m);
  bind_diagonals(m);
  bind_views(m);
  m.def("kron", &kron, "a"_a, "b"_a, nb::kw_only(), "stream"_a = nb::none(),
        "The Kronecker product: each element of `a` times the whole of `b`.");
}

}  // namespace mlx::python
