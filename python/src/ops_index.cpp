// Gathering and scattering by index arrays, as functions.
#include "mlx/core/errors.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

array take_by(const array& a, Operand indices, std::optional<int> axis, StreamOrDevice s) {
  int one;
  if (!as_array(indices.object) && load_int(indices.object, one)) {
    int axis_at = axis ? normalize_axis_index(*axis, static_cast<int>(a.ndim()), "[take] ") : 0;
    int64_t extent = axis ? a.shape(axis_at) : static_cast<int64_t>(a.size());
    if (one < -extent || one >= extent) {
      throw std::out_of_range("[take] Index " + std::to_string(one) +
                              " is out of bounds for an axis of " + std::to_string(extent) + ".");
    }
    int positive = one < 0 ? static_cast<int>(one + extent) : one;
    return axis ? take(a, positive, *axis, s) : take(a, positive, s);
  }
  array index = to_array(indices);
  return axis ? take(a, index, *axis, s) : take(a, index, s);
}

std::vector<int> axes_for(const array& start, const Ints& axes) {
  check(start.ndim() <= 1 && start.size() == axes.values.size(), "slice", "Got ", start.size(),
        " start indices for ", axes.values.size(), " axes.");
  return axes.values;
}

void bind_slices(nb::module_& m) {
  m.def(
      "slice",
      [](const array& a, const array& start, const Ints& axes, const Ints& size, StreamOrDevice s) {
        return slice(a, start, axes_for(start, axes), size.shape(), s);
      },
      "a"_a, "start_indices"_a, "axes"_a, "slice_size"_a, nb::kw_only(), "stream"_a = nb::none(),
      "A block of the given size that begins at computed positions along `axes`.");
  m.def(
      "slice_update",
      [](const array& a, const array& update, const array& start, const Ints& axes,
         StreamOrDevice s) { return slice_update(a, update, start, axes_for(start, axes), s); },
      "a"_a, "update"_a, "start_indices"_a, "axes"_a, nb::kw_only(), "stream"_a = nb::none(),
      "`a` with a block replaced that begins at computed positions along `axes`.");
}

}  // namespace

void bind_index_ops(nb::module_& m) {
  m.def("take", &take_by, "a"_a, "indices"_a, "axis"_a = nb::none(), nb::kw_only(),
        "stream"_a = nb::none(),
        "The slices of `a` at integer indices along an axis, of the flattened array without one.\n"
        "Raises IndexError for a Python int out of range.");
  m.def(
      "take_along_axis",
      [](const array& a, const array& indices, std::optional<int> axis, StreamOrDevice s) {
        return axis ? take_along_axis(a, indices, *axis, s)
                    : take_along_axis(reshape(a, {-1}, s), reshape(indices, {-1}, s), 0, s);
      },
      "a"_a, "indices"_a, "axis"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "For each position of `indices`, the element of `a` at that index along the axis.");
  m.def(
      "put_along_axis",
      [](const array& a, const array& indices, Operand values, std::optional<int> axis,
         StreamOrDevice s) {
        array v = to_array(values, a.dtype());
        if (axis) {
          return put_along_axis(a, indices, v, *axis, s);
        }
        array flat = put_along_axis(reshape(a, {-1}, s), reshape(indices, {-1}, s),
                                    v.ndim() ? reshape(v, {-1}, s) : v, 0, s);
        return reshape(flat, a.shape(), s);
      },
      "a"_a, "indices"_a, "values"_a, "axis"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "`a` with the elements that `take_along_axis` would take replaced by `values`.");
  bind_slices(m);
}

}  // namespace mlx::python
