// Shapes of ops that come again and again, as templates: a family is bound by one line per op.
#pragma once

#include "mlx/ops.h"
#include "python/src/convert.h"

namespace mlx::python {

/** The bound class, for methods that are bound next to the function of the same name. */
inline nb::class_<array> array_class() { return nb::borrow<nb::class_<array>>(nb::type<array>()); }

/** The same callable as a function of the module and as a method of the array. */
template <typename F, typename... Extra>
void def_with_method(nb::module_& m, const char* name, const F& f, const Extra&... extra) {
  m.def(name, f, "a"_a, extra...);
  array_class().def(name, f, extra...);
}

using UnaryOp = array (*)(const array&, StreamOrDevice);
using BinaryOp = array (*)(const array&, const array&, StreamOrDevice);

template <UnaryOp op>
array call_unary(Operand a, StreamOrDevice s) {
  return op(to_array(a), s);
}

template <BinaryOp op>
array call_binary(Operand a, Operand b, StreamOrDevice s) {
  auto [x, y] = to_arrays(a, b);
  return op(x, y, s);
}

/** As call_binary, for ops that also order an array and an int beyond its dtype. */
template <BinaryOp op>
array call_comparison(Operand a, Operand b, StreamOrDevice s) {
  auto [x, y] = to_comparable(a, b);
  return op(x, y, s);
}

/** As call_binary, for ops that only ask whether their operands are true. */
template <BinaryOp op>
array call_logical(Operand a, Operand b, StreamOrDevice s) {
  return op(to_truth(a), to_truth(b), s);
}

/** `op(a, *, stream=None)` over arrays and numbers. */
template <UnaryOp op>
void def_unary(nb::module_& m, const char* name, const char* doc, bool method = false,
               const char* input = "a") {
  m.def(name, &call_unary<op>, nb::arg(input), nb::kw_only(), "stream"_a = nb::none(), doc);
  if (method) {
    array_class().def(name, &call_unary<op>, nb::kw_only(), "stream"_a = nb::none(), doc);
  }
}

/** Where a function that makes arrays runs: `device`, as the array API calls it, or `stream`. */
inline StreamOrDevice chosen(const StreamOrDevice& device, const StreamOrDevice& stream) {
  return std::holds_alternative<std::monostate>(device) ? stream : device;
}

/** Another name for a function that is already bound. */
inline void def_alias(nb::module_& m, const char* name, const char* original) {
  m.attr(name) = m.attr(original);
}

}  // namespace mlx::python
