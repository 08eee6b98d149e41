// One derivative per row of the element-wise table. Most are a factor: a function of inputs and
// output that multiplies the tangent; the rest are linear maps written out.
#include "mlx/primitives/elementwise_rules.h"

#include <numbers>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** A scalar of x's own dtype, so that promotion leaves x as it is. */
array constant(double value, const array& x) { return array(value, x.dtype()); }

array times(const array& x, double value) { return x * constant(value, x); }
array plus(const array& x, double value) { return x + constant(value, x); }
array minus_from(double value, const array& x) { return constant(value, x) - x; }

/** d out / d x of a unary op, where it is a factor. */
std::optional<array> unary_factor(ElementwiseOp op, const array& x, const array& out) {
  constexpr double two_over_root_pi = 2.0 * std::numbers::inv_sqrtpi;
  switch (op) {
    // clang-format off
    case ElementwiseOp::Square: return times(x, 2);
    case ElementwiseOp::Sqrt: return constant(0.5, out) / out;
    case ElementwiseOp::Rsqrt: return times(out * square(out), -0.5);
    case ElementwiseOp::Reciprocal: return negative(square(out));
    case ElementwiseOp::Exp: return out;
    case ElementwiseOp::Expm1: return plus(out, 1);
    case ElementwiseOp::Log: return reciprocal(x);
    case ElementwiseOp::Log2: return times(reciprocal(x), std::numbers::log2e);
    case ElementwiseOp::Log10: return times(reciprocal(x), std::numbers::log10e);
    case ElementwiseOp::Log1p: return reciprocal(plus(x, 1));
    case ElementwiseOp::Sin: return cos(x);
    case ElementwiseOp::Cos: return negative(sin(x));
    case ElementwiseOp::Tan: return plus(square(out), 1);
    case ElementwiseOp::ArcSin: return rsqrt(minus_from(1, square(x)));
    case ElementwiseOp::ArcCos: return negative(rsqrt(minus_from(1, square(x))));
    case ElementwiseOp::ArcTan: return reciprocal(plus(square(x), 1));
    case ElementwiseOp::Sinh: return cosh(x);
    case ElementwiseOp::Cosh: return sinh(x);
    case ElementwiseOp::Tanh: return minus_from(1, square(out));
    case ElementwiseOp::ArcSinh: return rsqrt(plus(square(x), 1));
    case ElementwiseOp::ArcCosh: return rsqrt(plus(x, -1)) * rsqrt(plus(x, 1));
    case ElementwiseOp::ArcTanh: return reciprocal(minus_from(1, square(x)));
    case ElementwiseOp::Erf: return times(exp(negative(square(x))), two_over_root_pi);
    case ElementwiseOp::ErfInv: return times(exp(square(out)), 1.0 / two_over_root_pi);
    case ElementwiseOp::Sigmoid: return out * minus_from(1, out);
    case ElementwiseOp::Degrees: return constant(180.0 / std::numbers::pi, x);
    case ElementwiseOp::Radians: return constant(std::numbers::pi / 180.0, x);
    default: return std::nullopt;
      // clang-format on
  }
}

/** d out / d a (first) or d out / d b of a binary op, where it is a factor. */
std::optional<array> binary_factor(ElementwiseOp op, bool first, const array& a, const array& b,
                                   const array& out) {
  switch (op) {
    case ElementwiseOp::Multiply:
      return first ? b : a;
    case ElementwiseOp::Divide:
      return first ? reciprocal(b) : negative(out / b);
    case ElementwiseOp::Power: {
      array zero = constant(0, out);
      if (first) return where(equal(b, zero), zero, b * power(a, plus(b, -1)));
      return where(equal(out, zero), zero, out * log(a));
    }
    case ElementwiseOp::LogAddExp:
      if (out.dtype() == complex64) return exp((first ? a : b) - out);
      return sigmoid(first ? a - b : b - a);  // finite where both a and out are infinite
    case ElementwiseOp::ArcTan2: {
      array n = square(a) + square(b);
      return first ? b / n : negative(a / n);
    }
    default:
      return std::nullopt;
  }
}

/** Ops that move values of g along without arithmetic on the inputs' values. */
std::optional<array> linear_rule(ElementwiseOp op, Direction direction, int i, const array& g,
                                 const std::vector<array>& inputs, const array& out) {
  const array& x = inputs[0];
  Dtype type = direction == Direction::forward ? out.dtype() : inputs[i].dtype();
  array zero = constant(0, g);
  switch (op) {
    case ElementwiseOp::Add:
      return g;
    case ElementwiseOp::Subtract:
      return i == 0 ? g : negative(g);
    case ElementwiseOp::Negative:
      return negative(g);
    case ElementwiseOp::Conjugate:
      return conjugate(g);
    case ElementwiseOp::RealPart:
      return direction == Direction::forward ? real(g) : astype(g, type);
    case ElementwiseOp::ImagPart:
      if (x.dtype() != complex64) return std::nullopt;
      return direction == Direction::forward ? imag(g) : g * array(std::complex<float>(0, 1));
    case ElementwiseOp::Cast:
      return astype(g, type);
    case ElementwiseOp::Maximum:  // of equal ones the second is the result
      return where(i == 0 ? greater(x, inputs[1]) : less_equal(x, inputs[1]), g, zero);
    case ElementwiseOp::Minimum:
      return where(i == 0 ? less(x, inputs[1]) : greater_equal(x, inputs[1]), g, zero);
    case ElementwiseOp::Remainder:
      return i == 0 ? g : negative(g * floor(x / inputs[1]));
    case ElementwiseOp::Select:
      return i == 1 ? where(x, g, zero) : where(x, zero, g);
    default:
      return std::nullopt;
  }
}

/** |z| pulls along the direction of z; it is the one real function of complex values here. */
array abs_rule(Direction direction, const array& g, const array& x) {
  array unit = sign(x);
  if (x.dtype() != complex64) return g * unit;
  return direction == Direction::forward ? real(conjugate(unit) * g) : g * unit;
}

}  // namespace

std::optional<array> elementwise_rule(ElementwiseOp op, Direction direction, int i, const array& g,
                                      const std::vector<array>& inputs, const array& out) {
  if (op == ElementwiseOp::Abs) return abs_rule(direction, g, inputs[0]);
  auto factor = inputs.size() == 2
                    ? binary_factor(op, i == 0, inputs[0], inputs[1], out)
                    : (inputs.size() == 1 ? unary_factor(op, inputs[0], out) : std::nullopt);
  if (factor) {
    bool adjoint = direction == Direction::backward && factor->dtype() == complex64;
    return g * (adjoint ? conjugate(*factor) : *factor);
  }
  auto result = linear_rule(op, direction, i, g, inputs, out);
  if (!result) return std::nullopt;
  Dtype type = direction == Direction::forward ? out.dtype() : inputs[i].dtype();
  return result->dtype() == type ? result : astype(*result, type);
}

}  // namespace mlx::core
