// The public element-wise functions: those with the plain signature by expansion of the table, the
// others written out, and the operators. Each brings its inputs to the common dtype that the op
// takes and builds one node.
#include <cmath>
#include <limits>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

bool is_whole(Dtype t) { return t == bool_ || issubdtype(t, integer); }

/** Whether the op leaves arrays of this dtype as they are. */
bool is_identity(ElementwiseOp op, Dtype t) {
  if (op == ElementwiseOp::RealPart || op == ElementwiseOp::Conjugate) return !is_complex_dtype(t);
  return is_whole(t) && (op == ElementwiseOp::Floor || op == ElementwiseOp::Ceil ||
                         op == ElementwiseOp::Trunc || op == ElementwiseOp::Round);
}

array unary(ElementwiseOp op, const array& a, StreamOrDevice s) {
  if (is_identity(op, a.dtype())) return a;
  Stream stream = to_stream(s);
  return detail::elementwise(op, {astype(a, elementwise_input_type(op, a.dtype()), stream)},
                             stream);
}

/** The dtype to which both operands are cast. */
Dtype common_type(ElementwiseOp op, Dtype a, Dtype b) {
  bool logical = op == ElementwiseOp::LogicalAnd || op == ElementwiseOp::LogicalOr ||
                 op == ElementwiseOp::LogicalXor;
  // Truth values do not survive every promotion.
  if (logical && a != b) return bool_;
  return elementwise_input_type(op, promote_types(a, b));
}

array binary(ElementwiseOp op, const array& a, const array& b, StreamOrDevice s) {
  Stream stream = to_stream(s);
  Dtype type = common_type(op, a.dtype(), b.dtype());
  return detail::elementwise(op, {astype(a, type, stream), astype(b, type, stream)}, stream);
}

Dtype at_least_float(Dtype t) { return is_whole(t) ? float32 : t; }

/** The first parameter's type: some functions of the surface take their array by value. */
template <typename Function>
struct ParameterOf;
template <typename A>
struct ParameterOf<array (*)(A, StreamOrDevice)> {
  using type = A;
};

/** Largest finite value of a real floating dtype. */
double largest(Dtype t) { return finfo(t).max; }

}  // namespace

#define MLX_DEFINE_Function(Name, function, arity) MLX_DEFINE_##arity(Name, function)
#define MLX_DEFINE_Method(Name, function, arity) MLX_DEFINE_##arity(Name, function)
#define MLX_DEFINE_Custom(Name, function, arity)
#define MLX_DEFINE_1(Name, function)                                                      \
  array function(ParameterOf<decltype(&mlx::core::function)>::type a, StreamOrDevice s) { \
    return unary(ElementwiseOp::Name, a, s);                                              \
  }
#define MLX_DEFINE_2(Name, function)                                 \
  array function(const array& a, const array& b, StreamOrDevice s) { \
    return binary(ElementwiseOp::Name, a, b, s);                     \
  }
#define MLX_UNARY(Name, function, rule, flags) MLX_DEFINE_##flags(Name, function, 1)
#define MLX_BINARY(Name, function, rule, flags) MLX_DEFINE_##flags(Name, function, 2)
#include "mlx/optable/elementwise.def"
#undef MLX_DEFINE_Function
#undef MLX_DEFINE_Method
#undef MLX_DEFINE_Custom
#undef MLX_DEFINE_1
#undef MLX_DEFINE_2

array astype(array a, Dtype dtype, StreamOrDevice s) {
  return a.dtype() == dtype ? a : detail::cast(a, dtype, to_stream(s));
}

array from_fp8(array x, Dtype dtype, StreamOrDevice s) {
  check(issubdtype(dtype, floating), "from_fp8", "needs a real floating dtype to convert to, got ",
        dtype_name(dtype), ".");
  return astype(unary(ElementwiseOp::FromFP8, x, s), dtype, s);
}

array where(const array& condition, const array& x, const array& y, StreamOrDevice s) {
  Stream stream = to_stream(s);
  Dtype type = promote_types(x.dtype(), y.dtype());
  return detail::elementwise(
      ElementwiseOp::Select,
      {astype(condition, bool_, stream), astype(x, type, stream), astype(y, type, stream)}, stream);
}

array positive(const array& a, StreamOrDevice) { return a; }

array conjugate(const array& a, StreamOrDevice s) { return unary(ElementwiseOp::Conjugate, a, s); }

array round(const array& a, StreamOrDevice s) { return unary(ElementwiseOp::Round, a, s); }

array round(const array& a, int decimals, StreamOrDevice s) {
  if (decimals == 0 || (decimals > 0 && is_whole(a.dtype()))) return round(a, s);
  Dtype type = at_least_float(a.dtype());
  array x = astype(a, type, s);
  array scale(std::pow(10.0, std::abs(decimals)), type);
  array scaled = decimals > 0 ? divide(round(multiply(x, scale, s), s), scale, s)
                              : multiply(round(divide(x, scale, s), s), scale, s);
  return astype(scaled, a.dtype(), s);
}

std::vector<array> divmod(const array& a, const array& b, StreamOrDevice s) {
  array rest = remainder(a, b, s);
  return {floor_divide(a, b, s), rest};
}

array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max,
           StreamOrDevice s) {
  check(a_min.has_value() || a_max.has_value(), "clip",
        "at least one of a_min and a_max is needed.");
  array result = a_min ? maximum(a, *a_min, s) : a;
  return a_max ? minimum(result, *a_max, s) : result;
}

array nan_to_num(const array& a, float nan, const std::optional<float> posinf,
                 const std::optional<float> neginf, StreamOrDevice s) {
  if (is_whole(a.dtype())) return a;
  check(!is_complex_dtype(a.dtype()), "nan_to_num", "not defined for dtype ", a.dtype(), ".");
  auto value = [&](double x) { return array(x, a.dtype()); };
  array high = value(posinf ? static_cast<double>(*posinf) : largest(a.dtype()));
  array low = value(neginf ? static_cast<double>(*neginf) : -largest(a.dtype()));
  array finite = where(isposinf(a, s), high, where(isneginf(a, s), low, a, s), s);
  return where(isnan(a, s), value(nan), finite, s);
}

array isclose(const array& a, const array& b, double rtol, double atol, bool equal_nan,
              StreamOrDevice s) {
  // Tolerances vanish in half precision and differences wrap in integers.
  Dtype type = promote_types(at_least_float(promote_types(a.dtype(), b.dtype())), float32);
  array x = astype(a, type, s), y = astype(b, type, s);
  Dtype part = real_dtype(type);
  array tolerance = add(array(atol, part), multiply(array(rtol, part), abs(y, s), s), s);
  array near = logical_and(less_equal(abs(subtract(x, y, s), s), tolerance, s), isfinite(y, s), s);
  array same = equal_nan ? detail::elementwise(ElementwiseOp::NaNEqual, {x, y}, to_stream(s))
                         : equal(x, y, s);
  return logical_or(near, same, s);
}

array allclose(const array& a, const array& b, double rtol, double atol, bool equal_nan,
               StreamOrDevice s) {
  return all(isclose(a, b, rtol, atol, equal_nan, s), false, s);
}

array array_equal(const array& a, const array& b, bool equal_nan, StreamOrDevice s) {
  if (a.shape() != b.shape()) return array(false);
  auto op = equal_nan ? ElementwiseOp::NaNEqual : ElementwiseOp::Equal;
  return all(binary(op, a, b, s), false, s);
}
array array_equal(const array& a, const array& b, StreamOrDevice s) {
  return array_equal(a, b, false, s);
}

#define MLX_OPERATOR(symbol, function) \
  array operator symbol(const array& a, const array& b) { return function(a, b); }
MLX_OPERATOR(+, add)
MLX_OPERATOR(-, subtract)
MLX_OPERATOR(*, multiply)
MLX_OPERATOR(/, divide)
MLX_OPERATOR(%, remainder)
MLX_OPERATOR(==, equal)
MLX_OPERATOR(!=, not_equal)
MLX_OPERATOR(<, less)
MLX_OPERATOR(<=, less_equal)
MLX_OPERATOR(>, greater)
MLX_OPERATOR(>=, greater_equal)
MLX_OPERATOR(&&, logical_and)
MLX_OPERATOR(||, logical_or)
MLX_OPERATOR(&, bitwise_and)
MLX_OPERATOR(|, bitwise_or)
MLX_OPERATOR(^, bitwise_xor)
MLX_OPERATOR(<<, left_shift)
MLX_OPERATOR(>>, right_shift)
#undef MLX_OPERATOR

array operator-(const array& a) { return negative(a); }
array operator~(const array& a) { return bitwise_invert(a); }
array operator/(double a, const array& b) { return divide(array(a, at_least_float(b.dtype())), b); }
array operator/(const array& a, double b) { return divide(a, array(b, at_least_float(a.dtype()))); }

}  // namespace mlx::core
