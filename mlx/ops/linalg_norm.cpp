// Vector and matrix norms and the cross product, made of reductions, element-wise ops and singular
// values.
#include <algorithm>
#include <cmath>

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/linalg.h"
#include "mlx/ops.h"

namespace mlx::core::linalg {

namespace {

constexpr const char* op = "linalg::norm";

/** Magnitudes in a dtype to add up in: half types and integers become float32. */
array magnitudes(const array& a, StreamOrDevice s) {
  bool precise = is_complex_dtype(a.dtype()) || a.dtype() == float64;
  return abs(precise ? a : astype(a, float32, s), s);
}

Dtype result_dtype(Dtype t) { return issubdtype(t, inexact) ? real_dtype(t) : float32; }

std::vector<int> normalized(const array& a, const std::vector<int>& axes) {
  std::vector<int> out;
  for (int axis : axes) {
    out.push_back(normalize_axis_index(axis, static_cast<int>(a.ndim()), "[linalg::norm] "));
  }
  check(out.size() != 2 || out[0] != out[1], op, "Duplicate axis ", axes[0], ".");
  check(out.size() <= 2, op, "Received ", out.size(), " axes; norms are over one or two.");
  return out;
}

std::vector<int> all_axes(const array& a) {
  std::vector<int> axes;
  for (size_t i = 0; i < a.ndim(); i++) {
    axes.push_back(static_cast<int>(i));
  }
  return axes;
}

array euclidean(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  array m = magnitudes(a, s);
  if (!axes.empty()) {
    m = sqrt(sum(square(m, s), axes, keepdims, s), s);
  }
  return astype(m, result_dtype(a.dtype()), s);
}

array norm_of_vectors(const array& a, double ord, int axis, bool keepdims, StreamOrDevice s) {
  array m = magnitudes(a, s);
  if (ord == 0) {
    m = sum(astype(not_equal(m, array(0, m.dtype()), s), m.dtype(), s), axis, keepdims, s);
  } else if (ord == 1) {
    m = sum(m, axis, keepdims, s);
  } else if (std::isinf(ord)) {
    m = ord > 0 ? max(m, axis, keepdims, s) : min(m, axis, keepdims, s);
  } else {
    m = sum(power(m, array(ord, m.dtype()), s), axis, keepdims, s);
    m = power(m, array(1.0 / ord, m.dtype()), s);
  }
  return astype(m, result_dtype(a.dtype()), s);
}

/** The singular values of the matrices in two axes, in the last axis of the result. */
array singular_values(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  bool has_routine = is_complex_dtype(a.dtype()) || a.dtype() == float64;
  array x = has_routine ? a : astype(a, float32, s);
  int last = static_cast<int>(a.ndim()) - 1;
  int first = axes[0] - (axes[1] < axes[0] ? 1 : 0);  // where axes[0] is once axes[1] has moved
  return svdvals(moveaxis(moveaxis(x, axes[1], last, s), first, last - 1, s), s);
}

/** What a reduction over singular values gives, with the axes of `a` that are kept. */
array as_norm(array m, const array& a, std::vector<int> axes, bool keepdims, StreamOrDevice s) {
  if (keepdims) {
    std::sort(axes.begin(), axes.end());
    m = expand_dims(m, axes, s);
  }
  return astype(m, result_dtype(a.dtype()), s);
}

/** The largest or smallest sum of magnitudes of a column (ord 1, -1) or a row (ord inf, -inf). */
array norm_of_matrices(const array& a, double ord, const std::vector<int>& axes, bool keepdims,
                       StreamOrDevice s) {
  if (std::abs(ord) == 2) {
    array values = singular_values(a, axes, s);
    return as_norm(ord > 0 ? max(values, -1, false, s) : min(values, -1, false, s), a, axes,
                   keepdims, s);
  }
  bool rows = std::isinf(ord);
  check(rows || std::abs(ord) == 1, op, "Invalid ord ", ord, " for a matrix norm.");
  array sums = sum(magnitudes(a, s), axes[rows ? 1 : 0], true, s);
  int other = axes[rows ? 0 : 1];
  array m = ord > 0 ? max(sums, other, true, s) : min(sums, other, true, s);
  return astype(keepdims ? m : squeeze(m, axes, s), result_dtype(a.dtype()), s);
}

/** The three components along an axis of extent 3, or of extent 2 with a zero. */
std::vector<array> components(const array& a, int axis, Dtype dtype, StreamOrDevice s) {
  std::vector<array> out = split(astype(a, dtype, s), a.shape(axis), axis, s);
  if (out.size() == 2) {
    out.push_back(zeros_like(out[0], s));
  }
  return out;
}

}  // namespace

array norm(const array& a, const double ord, const std::optional<std::vector<int>>& axis,
           bool keepdims, StreamOrDevice s) {
  std::vector<int> axes = normalized(a, axis ? *axis : all_axes(a));
  check(!axes.empty(), op, "The norm of order ", ord, " needs one or two axes.");
  if (axes.size() == 2) {
    return norm_of_matrices(a, ord, axes, keepdims, s);
  }
  return ord == 2 ? euclidean(a, axes, keepdims, s) : norm_of_vectors(a, ord, axes[0], keepdims, s);
}

array norm(const array& a, const double ord, int axis, bool keepdims, StreamOrDevice s) {
  return norm(a, ord, std::vector<int>{axis}, keepdims, s);
}

array norm(const array& a, const std::string& ord, const std::optional<std::vector<int>>& axis,
           bool keepdims, StreamOrDevice s) {
  std::vector<int> axes = normalized(a, axis ? *axis : all_axes(a));
  check(axes.size() == 2, op, "Norm '", ord, "' is only supported for matrices, not over ",
        axes.size(), " axes.");
  if (ord == "nuc") {
    return as_norm(sum(singular_values(a, axes, s), -1, false, s), a, axes, keepdims, s);
  }
  check(ord == "f" || ord == "fro", op, "Invalid ord '", ord, "' for a matrix norm.");
  return euclidean(a, axes, keepdims, s);
}

array norm(const array& a, const std::string& ord, int axis, bool keepdims, StreamOrDevice s) {
  return norm(a, ord, std::vector<int>{axis}, keepdims, s);
}

array norm(const array& a, const std::optional<std::vector<int>>& axis, bool keepdims,
           StreamOrDevice s) {
  return euclidean(a, axis ? normalized(a, *axis) : all_axes(a), keepdims, s);
}

array norm(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return norm(a, std::vector<int>{axis}, keepdims, s);
}

array vector_norm(const array& a, double ord, const std::optional<std::vector<int>>& axis,
                  bool keepdims, StreamOrDevice s) {
  if (axis && axis->size() == 1) {
    return norm(a, ord, axis, keepdims, s);
  }
  if (axis) {
    check(!axis->empty(), "linalg::vector_norm", "At least one axis is needed.");
    auto sorted = detail::checked_axes("linalg::vector_norm", a, *axis);
    int ndim = static_cast<int>(a.ndim());
    int kept = ndim - static_cast<int>(sorted.size());
    array rows = transpose(a, detail::AxisOrder(ndim, sorted).forward, s);
    array m = norm(flatten(rows, kept, -1, s), ord, -1, false, s);
    return keepdims ? expand_dims(m, sorted, s) : m;
  }
  array m = norm(flatten(a, s), ord, 0, false, s);
  return keepdims ? reshape(m, Shape(a.ndim(), 1), s) : m;
}

array matrix_norm(const array& a, double ord, bool keepdims, StreamOrDevice s) {
  return norm(a, ord, std::vector<int>{-2, -1}, keepdims, s);
}

array matrix_norm(const array& a, const std::string& ord, bool keepdims, StreamOrDevice s) {
  return norm(a, ord, std::vector<int>{-2, -1}, keepdims, s);
}

array cross(const array& a, const array& b, int axis, StreamOrDevice s) {
  constexpr const char* cross_op = "linalg::cross";
  int ndim = static_cast<int>(a.ndim());
  // From the end, so that it means the same axis of both when one has more of them.
  int from_end = normalize_axis_index(axis, ndim, "[linalg::cross] ") - ndim;
  normalize_axis_index(from_end, static_cast<int>(b.ndim()), "[linalg::cross] ");
  for (const array& x : {a, b}) {
    check(x.shape(from_end) == 2 || x.shape(from_end) == 3, cross_op, "Axis ", axis,
          " must have size 2 or 3, but the shapes are ", a.shape(), " and ", b.shape(), ".");
  }
  Dtype dtype = result_type(a, b);
  check(dtype != bool_, cross_op, "Arrays of bool have no cross product.");
  auto x = components(a, from_end, dtype, s), y = components(b, from_end, dtype, s);
  std::vector<array> out;
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3, k = (i + 2) % 3;
    out.push_back(subtract(multiply(x[j], y[k], s), multiply(x[k], y[j], s), s));
  }
  return concatenate(std::move(out), from_end, s);
}

}  // namespace mlx::core::linalg
