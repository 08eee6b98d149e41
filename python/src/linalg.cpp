// Linear algebra, mlx.core.linalg.
#include "mlx/linalg.h"

#include "mlx/core/errors.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

array norm_by(const array& a, nb::handle ord, const Axes& axis, bool keepdims, StreamOrDevice s) {
  std::optional<std::vector<int>> axes;
  if (!axis.all()) {
    axes = axis.values;
  }
  if (ord.is_none()) {
    return linalg::norm(a, axes, keepdims, s);
  }
  if (nb::isinstance<nb::str>(ord)) {
    return linalg::norm(a, nb::cast<std::string>(ord), axes, keepdims, s);
  }
  double order = PyFloat_AsDouble(ord.ptr());
  if (order == -1.0 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  return linalg::norm(a, order, axes, keepdims, s);
}

}  // namespace

void bind_linalg(nb::module_& parent) {
  auto m = parent.def_submodule("linalg", "Linear algebra over the last axes.");
  m.def(
      "norm", &norm_by, "a"_a, "ord"_a = nb::none(), "axis"_a = nb::none(), "keepdims"_a = false,
      nb::kw_only(), "stream"_a = nb::none(),
      "The norm of vectors (one axis) or matrices (two axes): of order `ord`, a number, 'fro' or\n"
      "'nuc'; without an order the 2-norm of all elements over the axes, of all without axes.");
  parent.attr("matrix_norm") = m.attr("norm");
  m.def("cross", &linalg::cross, "a"_a, "b"_a, "axis"_a = -1, nb::kw_only(),
        "stream"_a = nb::none(), "The cross product of vectors of 2 or 3 components in an axis.");
}

}  // namespace mlx::python
