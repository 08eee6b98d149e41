// Determinants, powers and the exponential of square matrices, made of factorisations and products.
#include <cmath>

#include "mlx/core/errors.h"
#include "mlx/linalg.h"
#include "mlx/ops.h"
#include "mlx/ops/linalg_checks.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::linalg {

namespace {

struct Determinant {
  array sign, diagonal;  // of the permutation, and of U
};

/** By LU, in float32 where there are no routines for the dtype. */
Determinant determinant(const char* op, const array& a, StreamOrDevice s) {
  bool has_routine = a.dtype() == float64 || is_complex_dtype(a.dtype());
  array x = has_routine ? a : astype(a, float32, s);
  check_square(op, x);
  auto parts = MatrixPrimitive::make(std::make_shared<LU>(to_stream(s)), {x});
  array pivots = parts[1];
  array in_place = arange(0, a.shape(-1), 1, uint32, s);
  array exchanges = sum(astype(not_equal(pivots, in_place, s), int32, s), -1, false, s);
  array odd = remainder(exchanges, array(2), s);
  array sign = astype(subtract(array(1), multiply(array(2), odd, s), s), x.dtype(), s);
  return {sign, diagonal(parts[0], 0, -2, -1, s)};
}

Dtype determinant_dtype(const array& a) {
  return issubdtype(a.dtype(), inexact) ? a.dtype() : float32;
}

/** Coefficients of the diagonal Padé approximant of e^x, from the highest. */
std::vector<double> pade_coefficients(int degree) {
  std::vector<double> c(degree + 1);
  c[degree] = 1;
  for (int i = 1; i <= degree; i++) {
    c[degree - i] = c[degree - i + 1] * (degree - i + 1) / (i * (2.0 * degree - i + 1));
  }
  return c;
}

struct Exponential {
  int degree;
  double reach;  // the 1-norm up to which the approximant is exact to rounding
};

constexpr int most_squarings = 16;

/** The approximant: (V - U) X = V + U with U odd and V even in A. */
array pade(const array& a, int degree, StreamOrDevice s) {
  std::vector<double> c = pade_coefficients(degree);
  int highest = degree;
  // c[i] belongs to A^(degree - i): reorder by power.
  std::vector<double> of_power(c.rbegin(), c.rend());
  array one = eye(a.shape(-1), a.dtype(), s), square_of = matmul(a, a, s);
  auto series = [&](int first) {
    array power = one, total = multiply(one, array(of_power[first], a.dtype()), s);
    for (int p = first + 2; p <= highest; p += 2) {
      power = p == first + 2 ? square_of : matmul(power, square_of, s);
      total = add(total, multiply(power, array(of_power[p], a.dtype()), s), s);
    }
    return total;
  };
  array u = matmul(a, series(1), s), v = series(0);
  return solve(subtract(v, u, s), add(v, u, s), s);
}

}  // namespace

array det(const array& a, StreamOrDevice s) {
  auto [sign, diagonal] = determinant("linalg::det", a, s);
  return astype(multiply(sign, prod(diagonal, -1, false, s), s), determinant_dtype(a), s);
}

std::pair<array, array> slogdet(const array& a, StreamOrDevice s) {
  auto [sign, diagonal] = determinant("linalg::slogdet", a, s);
  array result = multiply(sign, prod(core::sign(diagonal, s), -1, false, s), s);
  Dtype dtype = determinant_dtype(a);
  return {astype(result, dtype, s),
          astype(sum(log(abs(diagonal, s), s), -1, false, s), real_dtype(dtype), s)};
}

array matrix_power(const array& a, int n, StreamOrDevice s) {
  constexpr const char* op = "linalg::matrix_power";
  check(a.ndim() >= 2 && a.shape(-1) == a.shape(-2), op, "Only defined for square matrices, not ",
        "for shape ", a.shape(), ".");
  array base = n < 0 ? inv(a, s) : a;
  auto left = n < 0 ? -static_cast<int64_t>(n) : static_cast<int64_t>(n);
  if (left == 0) {
    return broadcast_to(eye(a.shape(-1), a.dtype(), s), a.shape(), s);
  }
  std::optional<array> result;
  for (; left > 0; left /= 2) {
    if (left % 2 == 1) {
      result = result ? matmul(*result, base, s) : base;
    }
    base = left > 1 ? matmul(base, base, s) : base;
  }
  return *result;
}

array expm(const array& a, StreamOrDevice s) {
  check_square("linalg::expm", a);
  if (a.size() == 0) {
    return a;
  }
  Exponential plan =
      a.dtype() == float64 ? Exponential{13, 5.371920351148152} : Exponential{7, 3.925724783138660};
  array size = matrix_norm(stop_gradient(a, s), 1.0, true, s);
  array wanted = ceil(log2(divide(size, array(plan.reach, size.dtype()), s), s), s);
  array squarings = maximum(wanted, array(0.0f, size.dtype()), s);
  array scale = power(array(0.5f, size.dtype()), squarings, s);
  array x = pade(multiply(a, scale, s), plan.degree, s);
  for (int i = 0; i < most_squarings; i++) {
    array more = greater(squarings, array(static_cast<float>(i), size.dtype()), s);
    x = where(more, matmul(x, x, s), x, s);
  }
  array reached = less_equal(squarings, array(float{most_squarings}, size.dtype()), s);
  return where(reached, x, array(NAN, x.dtype()), s);
}

array trace(const array& a, int offset, StreamOrDevice s) {
  check(a.ndim() >= 2, "linalg::trace", "Arrays must have >= 2 dimensions. Received array with ",
        a.ndim(), " dimensions.");
  return core::trace(a, offset, -2, -1, s);
}

}  // namespace mlx::core::linalg
