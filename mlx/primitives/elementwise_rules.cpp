// One derivative per row of the element-wise table. Most are a factor: a function of inputs and
// output that multiplies the tangent; others are linear maps written out; the rest is zero wherever
// it exists. A row of the table that has none of these does not compile.
#include "mlx/primitives/elementwise_rules.h"

#include <numbers>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

using enum ElementwiseOp;
using X = const array&;

/** A scalar of x's own dtype, so that promotion leaves x as it is. */
array constant(double value, X x) { return array(value, x.dtype()); }

array times(X x, double value) { return x * constant(value, x); }
array plus(X x, double value) { return x + constant(value, x); }
array minus_from(double value, X x) { return constant(value, x) - x; }
/** 1 - x^2 without cancellation near 1. */
array one_minus_square(X x) { return minus_from(1, x) * plus(x, 1); }

/** d out / d x of a unary op, where it is a factor. */
struct UnaryFactor {
  ElementwiseOp op;
  array (*of)(X x, X out);
};

constexpr double two_over_root_pi = 2.0 * std::numbers::inv_sqrtpi;

constexpr UnaryFactor unary_factors[] = {
    {Square, [](X x, X) { return times(x, 2); }},
    {Sqrt, [](X, X out) { return constant(0.5, out) / out; }},
    {Rsqrt, [](X, X out) { return times(out * square(out), -0.5); }},
    {Reciprocal, [](X, X out) { return negative(square(out)); }},
    {Exp, [](X, X out) { return array(out); }},
    {Expm1, [](X, X out) { return plus(out, 1); }},
    {Log, [](X x, X) { return reciprocal(x); }},
    {Log2, [](X x, X) { return times(reciprocal(x), std::numbers::log2e); }},
    {Log10, [](X x, X) { return times(reciprocal(x), std::numbers::log10e); }},
    {Log1p, [](X x, X) { return reciprocal(plus(x, 1)); }},
    {Sin, [](X x, X) { return cos(x); }},
    {Cos, [](X x, X) { return negative(sin(x)); }},
    {Tan, [](X, X out) { return plus(square(out), 1); }},
    {ArcSin, [](X x, X) { return rsqrt(one_minus_square(x)); }},
    {ArcCos, [](X x, X) { return negative(rsqrt(one_minus_square(x))); }},
    {ArcTan, [](X x, X) { return reciprocal(plus(square(x), 1)); }},
    {Sinh, [](X x, X) { return cosh(x); }},
    {Cosh, [](X x, X) { return sinh(x); }},
    {Tanh, [](X, X out) { return minus_from(1, square(out)); }},
    {ArcSinh, [](X x, X) { return rsqrt(plus(square(x), 1)); }},
    {ArcCosh, [](X x, X) { return rsqrt(plus(x, -1)) * rsqrt(plus(x, 1)); }},
    {ArcTanh, [](X x, X) { return reciprocal(one_minus_square(x)); }},
    {Erf, [](X x, X) { return times(exp(negative(square(x))), two_over_root_pi); }},
    {ErfInv, [](X, X out) { return times(exp(square(out)), 1.0 / two_over_root_pi); }},
    {Sigmoid, [](X, X out) { return out * minus_from(1, out); }},
    {Degrees, [](X x, X) { return constant(180.0 / std::numbers::pi, x); }},
    {Radians, [](X x, X) { return constant(std::numbers::pi / 180.0, x); }},
};

/** d out / d a (first) or d out / d b of a binary op, where it is a factor. */
struct BinaryFactor {
  ElementwiseOp op;
  array (*of)(bool first, X a, X b, X out);
};

array power_factor(bool first, X a, X b, X out) {
  array zero = constant(0, out);
  if (first) return where(equal(b, zero), zero, b * power(a, plus(b, -1)));
  return where(equal(out, zero), zero, out * log(a));
}

array logaddexp_factor(bool first, X a, X b, X out) {
  if (is_complex_dtype(out.dtype())) return exp((first ? a : b) - out);
  return sigmoid(first ? a - b : b - a);  // finite where both a and out are infinite
}

array arctan2_factor(bool first, X a, X b, X) {
  array n = square(a) + square(b);
  return first ? b / n : negative(a / n);
}

constexpr BinaryFactor binary_factors[] = {
    {Multiply, [](bool first, X a, X b, X) { return first ? b : a; }},
    {Divide, [](bool first, X, X b, X out) { return first ? reciprocal(b) : negative(out / b); }},
    {Power, power_factor},
    {LogAddExp, logaddexp_factor},
    {ArcTan2, arctan2_factor},
};

/** What other rules map: the tangent of input `i` or the cotangent of the output. Their result is
 *  cast to the dtype of what is asked for. */
struct Linear {
  Direction direction;
  int i;
  X g;
  const std::vector<array>& inputs;

  bool forward() const { return direction == Direction::forward; }
  X x() const { return inputs[0]; }
  array g_where(X condition) const { return where(condition, g, constant(0, g)); }
};

struct LinearRule {
  ElementwiseOp op;
  std::optional<array> (*of)(const Linear& l);
};

/** |z| pulls along the direction of z; it is the one real function of complex values here. */
std::optional<array> abs_rule(const Linear& l) {
  array unit = sign(l.x());
  if (!is_complex_dtype(l.x().dtype())) return l.g * unit;
  return l.forward() ? real(conjugate(unit) * l.g) : l.g * unit;
}

std::optional<array> imag_rule(const Linear& l) {
  if (!is_complex_dtype(l.x().dtype())) return std::nullopt;
  return l.forward() ? imag(l.g) : l.g * array(std::complex<float>(0, 1));
}

std::optional<array> maximum_rule(const Linear& l) {  // of equal ones the second is the result
  return l.g_where(l.i == 0 ? greater(l.x(), l.inputs[1]) : less_equal(l.x(), l.inputs[1]));
}

std::optional<array> minimum_rule(const Linear& l) {
  return l.g_where(l.i == 0 ? less(l.x(), l.inputs[1]) : greater_equal(l.x(), l.inputs[1]));
}

using Result = std::optional<array>;

constexpr LinearRule linear_rules[] = {
    {Abs, abs_rule},
    {Add, [](const Linear& l) { return Result(l.g); }},
    {Subtract, [](const Linear& l) { return Result(l.i == 0 ? l.g : negative(l.g)); }},
    {Negative, [](const Linear& l) { return Result(negative(l.g)); }},
    {Conjugate, [](const Linear& l) { return Result(conjugate(l.g)); }},
    {RealPart, [](const Linear& l) { return Result(l.forward() ? real(l.g) : l.g); }},
    {ImagPart, imag_rule},
    {Cast, [](const Linear& l) { return Result(l.g); }},
    {Maximum, maximum_rule},
    {Minimum, minimum_rule},
    {Remainder,
     [](const Linear& l) {
       return Result(l.i == 0 ? l.g : negative(l.g * floor(l.x() / l.inputs[1])));
     }},
    {Select,
     [](const Linear& l) {
       array zero = constant(0, l.g);
       return Result(l.i == 1 ? where(l.x(), l.g, zero) : where(l.x(), zero, l.g));
     }},
};

/** Steps, predicates, and what works on bits. */
constexpr ElementwiseOp zero_where_defined[] = {
    Sign,       Floor,      Ceil,         Trunc,         Round,      FloorDivide,
    ToFP8,      FromFP8,    IsNan,        IsInf,         IsFinite,   IsPosInf,
    IsNegInf,   LogicalNot, Equal,        NotEqual,      NaNEqual,   Less,
    LessEqual,  Greater,    GreaterEqual, LogicalOr,     LogicalAnd, LogicalXor,
    BitwiseAnd, BitwiseOr,  BitwiseXor,   BitwiseInvert, LeftShift,  RightShift,
};

constexpr ElementwiseOp op_of(ElementwiseOp op) { return op; }
template <typename Rule>
constexpr ElementwiseOp op_of(const Rule& rule) {
  return rule.op;
}

template <typename Rules>
constexpr auto find_rule(const Rules& rules, ElementwiseOp op) {
  auto rule = std::begin(rules);
  while (rule != std::end(rules) && op_of(*rule) != op) ++rule;
  return rule == std::end(rules) ? nullptr : rule;
}

/** Whether each row of the table has exactly one rule, of a kind that fits its inputs. */
constexpr bool every_row_has_a_rule() {
  constexpr int arities[] = {
#define MLX_UNARY(Name, function, rule, flags) 1,
#define MLX_BINARY(Name, function, rule, flags) 2,
#define MLX_TERNARY(Name, function, rule, flags) 3,
#include "mlx/optable/elementwise.def"
  };
  for (int i = 0; i < elementwise_op_count; ++i) {
    auto op = static_cast<ElementwiseOp>(i);
    bool unary = find_rule(unary_factors, op), binary = find_rule(binary_factors, op);
    bool linear = find_rule(linear_rules, op), zero = find_rule(zero_where_defined, op);
    if (unary + binary + linear + zero != 1) return false;
    if ((unary && arities[i] != 1) || (binary && arities[i] != 2)) return false;
  }
  return true;
}

static_assert(every_row_has_a_rule(),
              "a row of elementwise.def needs a derivative rule here: a factor, a linear map, or "
              "a place among those that are zero");

}  // namespace

std::optional<array> elementwise_rule(ElementwiseOp op, Direction direction, int i, const array& g,
                                      const std::vector<array>& inputs, const array& out) {
  auto times_factor = [&](const array& factor) {
    bool adjoint = direction == Direction::backward && is_complex_dtype(factor.dtype());
    return g * (adjoint ? conjugate(factor) : factor);
  };
  if (auto* unary = find_rule(unary_factors, op)) {
    return times_factor(unary->of(inputs[0], out));
  }
  if (auto* binary = find_rule(binary_factors, op)) {
    return times_factor(binary->of(i == 0, inputs[0], inputs[1], out));
  }
  auto* linear = find_rule(linear_rules, op);
  if (!linear) return std::nullopt;
  Dtype type = direction == Direction::forward ? out.dtype() : inputs[i].dtype();
  auto result = linear->of({direction, i, g, inputs});
  if (!result) return std::nullopt;
  return result->dtype() == type ? result : astype(*result, type);
}

}  // namespace mlx::core
