// The element-wise functions, expanded from the table, and those whose signature is their own.
#include <string>

#include "mlx/optable/elementwise.h"
#include "python/src/def_op.h"
#include "python/src/elementwise_docs.h"

namespace mlx::python {

namespace {

const char* rule_doc(DtypeRule rule) {
  switch (rule) {
    case DtypeRule::NoBool:
      return "Raises ValueError for bool.";
    case DtypeRule::Real:
      return "Raises ValueError for complex dtypes.";
    case DtypeRule::Float:
      return "Integers and bools become float32.";
    case DtypeRule::RealFloat:
      return "Integers and bools become float32; raises ValueError for complex dtypes.";
    case DtypeRule::Magnitude:
      return "The result of complex64 is float32, of complex128 float64.";
    case DtypeRule::Predicate:
      return "The result is bool.";
    case DtypeRule::Bits:
    case DtypeRule::Shift:
      return "Raises ValueError unless the dtype is an integer or bool.";
    case DtypeRule::EncodeFP8:
      return "Takes real floating-point dtypes; the result is uint8.";
    default:
      return "";
  }
}

std::string compose_doc(const char* function, int arity, DtypeRule rule) {
  std::string doc = elementwise_doc(function);
  doc += arity == 2 ? "\n\nElement by element; the inputs broadcast and promote. "
                    : "\n\nElement by element. ";
  return doc + rule_doc(rule);
}

template <ElementwiseOp op, UnaryOp function>
void bind_unary(nb::module_& m) {
  auto& info = elementwise_info(op);
  def_unary<function>(m, info.function, compose_doc(info.function, 1, info.rule).c_str(),
                      info.flag == OpFlag::Method, info.rule == DtypeRule::EncodeFP8 ? "x" : "a");
}

using UnaryByValue = array (*)(array, StreamOrDevice);

template <UnaryByValue function>
array by_reference(const array& a, StreamOrDevice s) {
  return function(a, s);
}

template <ElementwiseOp op, UnaryByValue function>
void bind_unary(nb::module_& m) {
  bind_unary<op, UnaryOp(by_reference<function>)>(m);
}

constexpr bool is_comparison(ElementwiseOp op) {
  return op >= ElementwiseOp::Equal && op <= ElementwiseOp::GreaterEqual;
}

constexpr bool is_logical(ElementwiseOp op) {
  return op >= ElementwiseOp::LogicalAnd && op <= ElementwiseOp::LogicalXor;
}

template <ElementwiseOp op, BinaryOp function>
void bind_binary(nb::module_& m) {
  auto& info = elementwise_info(op);
  constexpr auto call = is_comparison(op) ? call_comparison<function>
                        : is_logical(op)  ? call_logical<function>
                                          : call_binary<function>;
  m.def(info.function, call, "a"_a, "b"_a, "stream"_a = nb::none(),
        compose_doc(info.function, 2, info.rule).c_str());
}

void bind_table(nb::module_& m) {
#define MLX_ROW_Custom(call)
#define MLX_ROW_Function(call) call
#define MLX_ROW_Method(call) call
#define MLX_UNARY(Name, function, rule, flags)                                             \
  static_assert(OpFlag::flags == OpFlag::Custom || elementwise_doc(#function) != nullptr); \
  MLX_ROW_##flags((bind_unary<ElementwiseOp::Name, mlx::core::function>(m));)
#define MLX_BINARY(Name, function, rule, flags)                                            \
  static_assert(OpFlag::flags == OpFlag::Custom || elementwise_doc(#function) != nullptr); \
  MLX_ROW_##flags((bind_binary<ElementwiseOp::Name, mlx::core::function>(m));)
#include "mlx/optable/elementwise.def"
#undef MLX_ROW_Custom
#undef MLX_ROW_Function
#undef MLX_ROW_Method
}

void bind_aliases(nb::module_& m) {
  constexpr const char* aliases[][2] = {
      {"acos", "arccos"},
      {"acosh", "arccosh"},
      {"asin", "arcsin"},
      {"asinh", "arcsinh"},
      {"atan", "arctan"},
      {"atanh", "arctanh"},
      {"atan2", "arctan2"},
      {"pow", "power"},
      {"conj", "conjugate"},
      {"bitwise_left_shift", "left_shift"},
      {"bitwise_right_shift", "right_shift"},
  };
  for (auto& [alias, original] : aliases) {
    def_alias(m, alias, original);
  }
}

array select(Operand condition, Operand x, Operand y, StreamOrDevice s) {
  auto [a, b] = to_arrays(x, y);
  return where(to_array(condition), a, b, s);
}

/** Bounds by MLX's names, or by the array API's; those may both be missing. */
array clip_to(const array& a, nb::handle a_min, nb::handle a_max, std::optional<Operand> min,
              std::optional<Operand> max, StreamOrDevice s) {
  bool named = a_min.is(nb::ellipsis()) && a_max.is(nb::ellipsis());
  auto given = [](nb::handle h) {
    bool missing = h.is_none() || h.is(nb::ellipsis());
    return missing ? std::optional<Operand>() : Operand{h.ptr()};
  };
  auto low = given(a_min) ? given(a_min) : min;
  auto high = given(a_max) ? given(a_max) : max;
  if (named && !low && !high) {
    return a;
  }
  auto bound = [&](const std::optional<Operand>& v) -> std::optional<array> {
    return v ? std::optional<array>(to_array(*v, a.dtype())) : std::nullopt;
  };
  if (!low && !high) {
    throw std::invalid_argument("[clip] At most one of a_min and a_max may be None.");
  }
  return clip(a, bound(low), bound(high), s);
}

void bind_comparisons(nb::module_& m) {
  m.def(
      "isclose",
      [](Operand a, Operand b, double rtol, double atol, bool equal_nan, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return isclose(x, y, rtol, atol, equal_nan, s);
      },
      "a"_a, "b"_a, "rtol"_a = 1e-5, "atol"_a = 1e-8, nb::kw_only(), "equal_nan"_a = false,
      "stream"_a = nb::none(),
      "Whether abs(a - b) <= atol + rtol * abs(b), element by element; infinities are close to\n"
      "themselves, NaN to NaN only with `equal_nan`.");
  m.def(
      "allclose",
      [](Operand a, Operand b, double rtol, double atol, bool equal_nan, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return allclose(x, y, rtol, atol, equal_nan, s);
      },
      "a"_a, "b"_a, "rtol"_a = 1e-5, "atol"_a = 1e-8, nb::kw_only(), "equal_nan"_a = false,
      "stream"_a = nb::none(), "Whether `isclose` holds everywhere, as a 0-d bool array.");
  m.def(
      "array_equal",
      [](Operand a, Operand b, bool equal_nan, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return array_equal(x, y, equal_nan, s);
      },
      "a"_a, "b"_a, "equal_nan"_a = false, "stream"_a = nb::none(),
      "Whether shapes and all elements are equal, as a 0-d bool array.");
}

void bind_casts(nb::module_& m) {
  m.def(
      "astype",
      [](Operand a, Dtype t, bool copies, StreamOrDevice device, StreamOrDevice s) {
        array x = to_array(a);
        return copies && x.dtype() == t ? mlx::core::copy(x, s) : astype(x, t, chosen(device, s));
      },
      "a"_a, "dtype"_a, nb::kw_only(), "copy"_a = false, "device"_a = nb::none(),
      "stream"_a = nb::none(),
      "The values converted to `dtype`; floats to ints round toward zero. With `copy` a new array\n"
      "even if the dtype is the same.");
  array_class().def(
      "astype", [](const array& a, Dtype t, StreamOrDevice s) { return astype(a, t, s); },
      "dtype"_a, "stream"_a = nb::none(),
      "The values converted to `dtype`; floats to ints round toward zero.");
  constexpr const char* round_doc =
      "Rounded to `decimals` places, halves to even. Integers stay as they are.";
  m.def(
      "round",
      [](Operand a, int decimals, StreamOrDevice s) { return round(to_array(a), decimals, s); },
      "a"_a, "decimals"_a = 0, "stream"_a = nb::none(), round_doc);
  array_class().def(
      "round", [](const array& a, int decimals, StreamOrDevice s) { return round(a, decimals, s); },
      "decimals"_a = 0, nb::kw_only(), "stream"_a = nb::none(), round_doc);
  def_unary<conjugate>(m, "conjugate", "The complex conjugate; real dtypes are unchanged.");
  array_class().def("conj", &call_unary<conjugate>, nb::kw_only(), "stream"_a = nb::none(),
                    "The complex conjugate.");
  m.def(
      "from_fp8", [](const array& x, Dtype t, StreamOrDevice s) { return from_fp8(x, t, s); },
      "x"_a, "dtype"_a = bfloat16, nb::kw_only(), "stream"_a = nb::none(),
      "The values of 8-bit floats (e4m3) held in a uint8 array.");
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  bind_table(m);
  bind_casts(m);
  bind_comparisons(m);
  bind_aliases(m);
  def_unary<positive>(m, "positive", "The input itself.");
  m.def(
      "divmod",
      [](Operand a, Operand b, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return divmod(x, y, s);
      },
      "a"_a, "b"_a, "stream"_a = nb::none(), "[a // b, a % b], computed together.");
  m.def("where", &select, "condition"_a, "x"_a, "y"_a, nb::kw_only(), "stream"_a = nb::none(),
        "x where the condition is non-zero, y elsewhere. All three broadcast; x and y promote.");
  m.def(
      "clip", &clip_to, "a"_a, "a_min"_a.none() = nb::ellipsis(), "a_max"_a.none() = nb::ellipsis(),
      nb::kw_only(), "min"_a = nb::none(), "max"_a = nb::none(), "stream"_a = nb::none(),
      nb::sig("def clip(a: array, a_min: int | float | array | None = ..., "
              "a_max: int | float | array | None = ..., *, min: int | float | array | None = None, "
              "max: int | float | array | None = None, stream: Stream | ThreadLocalStream | "
              "Device | DeviceType | None = None) -> array"),
      "The elements brought into [a_min, a_max], or [min, max]. Either bound may be None.");
  m.def(
      "nan_to_num",
      [](Operand a, float nan, std::optional<float> posinf, std::optional<float> neginf,
         StreamOrDevice s) { return nan_to_num(to_array(a), nan, posinf, neginf, s); },
      "a"_a, "nan"_a = 0.0f, "posinf"_a = nb::none(), "neginf"_a = nb::none(), nb::kw_only(),
      "stream"_a = nb::none(),
      "NaN replaced by `nan`, infinities by the given values or the dtype's largest numbers.");
}

}  // namespace mlx::python
