// What each element-wise function computes, in a line. Dtype rules are not said here: the binder
// adds them from the table.
#pragma once

#include <string_view>

namespace mlx::python {

struct ElementwiseDoc {
  std::string_view function;
  const char* text;
};

inline constexpr ElementwiseDoc elementwise_docs[] = {
    {"abs", "The absolute value; of complex numbers the modulus."},
    {"negative", "-a."},
    {"sign", "-1, 0 or 1 by the sign; of complex numbers a / abs(a)."},
    {"square", "a * a."},
    {"sqrt", "The square root; NaN below zero."},
    {"rsqrt", "1 / sqrt(a)."},
    {"reciprocal", "1 / a."},
    {"exp", "The exponential."},
    {"expm1", "exp(a) - 1, accurate for small a."},
    {"log", "The natural logarithm."},
    {"log2", "The logarithm to base 2."},
    {"log10", "The logarithm to base 10."},
    {"log1p", "log(1 + a), accurate for small a."},
    {"sin", "The sine of an angle in radians."},
    {"cos", "The cosine of an angle in radians."},
    {"tan", "The tangent of an angle in radians."},
    {"arcsin", "The inverse sine, in [-pi/2, pi/2]."},
    {"arccos", "The inverse cosine, in [0, pi]."},
    {"arctan", "The inverse tangent, in [-pi/2, pi/2]."},
    {"sinh", "The hyperbolic sine."},
    {"cosh", "The hyperbolic cosine."},
    {"tanh", "The hyperbolic tangent."},
    {"arcsinh", "The inverse hyperbolic sine."},
    {"arccosh", "The inverse hyperbolic cosine."},
    {"arctanh", "The inverse hyperbolic tangent."},
    {"erf", "The error function."},
    {"erfinv", "The inverse of the error function, for a in (-1, 1)."},
    {"sigmoid", "1 / (1 + exp(-a))."},
    {"degrees", "Radians to degrees."},
    {"radians", "Degrees to radians."},
    {"floor", "The largest integer not above a."},
    {"ceil", "The smallest integer not below a."},
    {"trunc", "The integer part, rounded toward zero."},
    {"real", "The real part."},
    {"imag", "The imaginary part; zeros for real dtypes."},
    {"logical_not", "Whether a is zero."},
    {"bitwise_invert", "All bits flipped; of bools the negation."},
    {"isnan", "Whether a is NaN."},
    {"isinf", "Whether a is +inf or -inf."},
    {"isfinite", "Whether a is neither infinite nor NaN."},
    {"isposinf", "Whether a is +inf."},
    {"isneginf", "Whether a is -inf."},
    {"to_fp8", "The bits of the nearest 8-bit float (e4m3)."},
    {"add", "a + b."},
    {"subtract", "a - b."},
    {"multiply", "a * b."},
    {"divide", "a / b, always in floating point."},
    {"remainder", "The remainder of a / b with the sign of b."},
    {"floor_divide", "a / b rounded down."},
    {"power", "a to the power of b."},
    {"maximum", "The larger of a and b; NaN if either is."},
    {"minimum", "The smaller of a and b; NaN if either is."},
    {"logaddexp", "log(exp(a) + exp(b)) without overflow."},
    {"arctan2", "The angle of the point (b, a), in [-pi, pi]."},
    {"equal", "a == b."},
    {"not_equal", "a != b."},
    {"less", "a < b."},
    {"less_equal", "a <= b."},
    {"greater", "a > b."},
    {"greater_equal", "a >= b."},
    {"logical_and", "Whether both are non-zero."},
    {"logical_or", "Whether either is non-zero."},
    {"logical_xor", "Whether exactly one is non-zero."},
    {"bitwise_and", "The bits set in both."},
    {"bitwise_or", "The bits set in either."},
    {"bitwise_xor", "The bits set in exactly one."},
    {"left_shift", "a with its bits moved up by b places."},
    {"right_shift", "a with its bits moved down by b places."},
};

/** nullptr for functions without a line, which the tests of the bindings catch. */
constexpr const char* elementwise_doc(std::string_view function) {
  for (auto& row : elementwise_docs) {
    if (row.function == function) {
      return row.text;
    }
  }
  return nullptr;
}

}  // namespace mlx::python
