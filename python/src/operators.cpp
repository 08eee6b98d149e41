// Arithmetic, comparison and in-place operators of the array class. Python numbers beside an array
// are weak: `x + 1.0` keeps bfloat16, and an int array becomes float32.
#include "mlx/ops.h"
#include "python/src/convert.h"

namespace mlx::python {

namespace {

using BinaryOp = array (*)(const array&, const array&, StreamOrDevice);

/** The other operand, or NotImplemented to Python. */
array partner(const array& self, Operand other) {
  if (auto* a = as_array(other.object)) {
    return *a;
  }
  auto a = try_operand(other.object, self.dtype());
  if (!a) {
    throw nb::next_overload();
  }
  return *std::move(a);
}

template <BinaryOp op>
void bind_binary(nb::class_<array>& cls, const char* name) {
  cls.def(
      name, [](const array& a, Operand b) { return op(a, partner(a, b), {}); }, nb::is_operator());
}

/** Comparisons know the ints beyond the array's dtype, too. */
template <BinaryOp op>
void bind_comparison(nb::class_<array>& cls, const char* name) {
  cls.def(
      name,
      [](nb::handle self, Operand other) {
        if (PyLong_CheckExact(other.object)) {
          auto [a, b] = to_comparable({self.ptr()}, other);
          return op(a, b, {});
        }
        const array& a = *as_array(self);
        return op(a, partner(a, other), {});
      },
      nb::is_operator());
}

template <BinaryOp op>
void bind_reflected(nb::class_<array>& cls, const char* name) {
  cls.def(
      name, [](const array& a, Operand b) { return op(partner(a, b), a, {}); }, nb::is_operator());
}

/** The same Python object gets the new value, so every name for it sees the change. */
template <BinaryOp op>
void bind_in_place(nb::class_<array>& cls, const char* name) {
  cls.def(
      name,
      [](array& a, Operand b) -> array& {
        a.overwrite_descriptor(op(a, partner(a, b), {}));
        return a;
      },
      nb::is_operator(), nb::rv_policy::none);
}

template <BinaryOp op>
void bind_all_forms(nb::class_<array>& cls, const std::string& name) {
  bind_binary<op>(cls, ("__" + name + "__").c_str());
  bind_reflected<op>(cls, ("__r" + name + "__").c_str());
  bind_in_place<op>(cls, ("__i" + name + "__").c_str());
}

/** Python's & | ^ on bools are the logical ones; the bitwise ops do the same for them. */
void bind_bitwise(nb::class_<array>& cls) {
  bind_all_forms<bitwise_and>(cls, "and");
  bind_all_forms<bitwise_or>(cls, "or");
  bind_all_forms<bitwise_xor>(cls, "xor");
  bind_all_forms<left_shift>(cls, "lshift");
  bind_all_forms<right_shift>(cls, "rshift");
  cls.def("__invert__", [](const array& a) { return bitwise_invert(a); });
}

void bind_comparisons(nb::class_<array>& cls) {
  bind_comparison<equal>(cls, "__eq__");
  bind_comparison<not_equal>(cls, "__ne__");
  bind_comparison<less>(cls, "__lt__");
  bind_comparison<less_equal>(cls, "__le__");
  bind_comparison<greater>(cls, "__gt__");
  bind_comparison<greater_equal>(cls, "__ge__");
}

nb::object divmod_pair(const array& a, const array& b) {
  auto parts = divmod(a, b);
  return nb::make_tuple(parts[0], parts[1]);
}

array divide_in_place(const array& a, const array& b, StreamOrDevice s) {
  if (!issubdtype(a.dtype(), inexact)) {
    throw std::invalid_argument("In place division cannot cast to non-floating point type.");
  }
  return divide(a, b, s);
}

}  // namespace

void bind_operators(nb::class_<array>& cls) {
  bind_all_forms<add>(cls, "add");
  bind_all_forms<subtract>(cls, "sub");
  bind_all_forms<multiply>(cls, "mul");
  bind_all_forms<floor_divide>(cls, "floordiv");
  bind_all_forms<remainder>(cls, "mod");
  bind_all_forms<power>(cls, "pow");
  bind_all_forms<matmul>(cls, "matmul");
  bind_binary<divide>(cls, "__truediv__");
  bind_binary<divide>(cls, "__div__");
  bind_reflected<divide>(cls, "__rtruediv__");
  bind_reflected<divide>(cls, "__rdiv__");
  bind_in_place<divide_in_place>(cls, "__itruediv__");
  bind_bitwise(cls);
  bind_comparisons(cls);
  cls.def(
         "__divmod__", [](const array& a, Operand b) { return divmod_pair(a, partner(a, b)); },
         nb::is_operator())
      .def(
          "__rdivmod__", [](const array& a, Operand b) { return divmod_pair(partner(a, b), a); },
          nb::is_operator())
      .def("__neg__", [](const array& a) { return negative(a); })
      .def("__pos__", [](const array& a) { return a; })
      .def("__abs__", [](const array& a) { return abs(a); });
}

}  // namespace mlx::python
