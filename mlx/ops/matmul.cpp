// Matrix products: checks, promotion and lowering to the product of matrices.
#include <algorithm>
#include <limits>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/ops.h"
#include "mlx/primitives/matmul.h"

namespace mlx::core {

namespace {

/** Operands as matrices, and which axes of the result were only lent. */
struct Operands {
  array a, b;
  bool row_added, column_added;
};

Operands as_matrices(const char* op, array a, array b, StreamOrDevice s) {
  check(a.ndim() > 0 && b.ndim() > 0, op,
        "Got an input with 0 dimensions, inputs need at least one; shapes are ", a.shape(), " and ",
        b.shape(), ".");
  bool row_added = a.ndim() == 1, column_added = b.ndim() == 1;
  int inner = b.shape(column_added ? 0 : -2);
  check(a.shape(-1) == inner, op, "Last dimension of first input with shape ", a.shape(),
        " must match ", column_added ? "the" : "second to last",
        " dimension of second input with shape ", b.shape(), ".");
  if (row_added) {
    a = expand_dims(a, 0, s);
  }
  if (column_added) {
    b = expand_dims(b, 1, s);
  }
  return {std::move(a), std::move(b), row_added, column_added};
}

array drop_added_axes(array out, const Operands& operands, StreamOrDevice s) {
  if (operands.row_added) {
    out = squeeze(out, -2, s);
  }
  return operands.column_added ? squeeze(out, -1, s) : out;
}

}  // namespace

array matmul(const array& in_a, const array& in_b, StreamOrDevice s) {
  Operands operands = as_matrices("matmul", in_a, in_b, s);
  Dtype dtype = result_type(in_a, in_b);
  array a = astype(operands.a, dtype, s), b = astype(operands.b, dtype, s);
  Shape shape = matmul_shape(a.shape(), b.shape());
  std::vector<array> inputs{std::move(a), std::move(b)};
  array out(std::move(shape), dtype, make_pooled<Matmul>(to_stream(s)), std::move(inputs));
  return drop_added_axes(std::move(out), operands, s);
}

array addmm(array c, array in_a, array in_b, const float& alpha, const float& beta,
            StreamOrDevice s) {
  Operands operands = as_matrices("addmm", in_a, in_b, s);
  Dtype dtype = result_type(in_a, in_b, c);
  array a = astype(operands.a, dtype, s), b = astype(operands.b, dtype, s);
  c = astype(c, dtype, s);
  Shape shape = matmul_shape(a.shape(), b.shape());
  Shape visible = shape;
  if (operands.row_added) {
    visible.erase(visible.end() - 2);
  }
  if (operands.column_added) {
    visible.pop_back();
  }
  bool fits = c.ndim() <= visible.size() && broadcast_shapes(c.shape(), visible) == visible;
  check(fits, "addmm", "Input c with shape ", c.shape(), " must broadcast to the output shape ",
        visible, ".");
  if (operands.row_added && c.ndim() > (operands.column_added ? 0u : 1u)) {
    c = expand_dims(c, operands.column_added ? -1 : -2, s);
  }
  if (operands.column_added && c.ndim() > 0) {
    c = expand_dims(c, -1, s);
  }
  auto primitive = make_pooled<AddMM>(to_stream(s), alpha, beta);
  std::vector<array> inputs{std::move(a), std::move(b), std::move(c)};
  array out(std::move(shape), dtype, std::move(primitive), std::move(inputs));
  return drop_added_axes(std::move(out), operands, s);
}

array tensordot(const array& a, const array& b, const int axis, StreamOrDevice s) {
  int most = static_cast<int>(std::min(a.ndim(), b.ndim()));
  check(axis >= 0 && axis <= most, "tensordot", "Number of axes ", axis,
        " must be between 0 and the number of dimensions of a and b, with shapes ", a.shape(),
        " and ", b.shape(), ".");
  std::vector<int> axes_a(axis), axes_b(axis);
  std::iota(axes_a.begin(), axes_a.end(), static_cast<int>(a.ndim()) - axis);
  std::iota(axes_b.begin(), axes_b.end(), 0);
  return tensordot(a, b, axes_a, axes_b, s);
}

namespace {

std::vector<int> normalized_axes(const std::vector<int>& axes, const array& x) {
  std::vector<int> result;
  for (int axis : axes) {
    result.push_back(normalize_axis_index(axis, static_cast<int>(x.ndim()), "[tensordot] "));
    check(std::count(result.begin(), result.end(), result.back()) == 1, "tensordot", "Axis ", axis,
          " is given twice for an input with shape ", x.shape(), ".");
  }
  return result;
}

std::vector<int> other_axes(const std::vector<int>& axes, const array& x) {
  std::vector<int> result;
  for (int i = 0; i < static_cast<int>(x.ndim()); i++) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      result.push_back(i);
    }
  }
  return result;
}

int extent(const array& x, const std::vector<int>& axes) {
  Shape shape;
  for (int axis : axes) {
    shape.push_back(x.shape(axis));
  }
  size_t n = num_elements(shape);
  check(n <= static_cast<size_t>(std::numeric_limits<int>::max()), "tensordot",
        "The axes of an input with shape ", x.shape(), " have too many elements together.");
  return static_cast<int>(n);
}

}  // namespace

array tensordot(const array& a, const array& b, const std::vector<int>& axes_a,
                const std::vector<int>& axes_b, StreamOrDevice s) {
  check(axes_a.size() == axes_b.size(), "tensordot", "Got ", axes_a.size(), " axes of a but ",
        axes_b.size(), " axes of b.");
  std::vector<int> inner_a = normalized_axes(axes_a, a), inner_b = normalized_axes(axes_b, b);
  for (size_t i = 0; i < inner_a.size(); i++) {
    check(a.shape(inner_a[i]) == b.shape(inner_b[i]), "tensordot",
          "Contracted axes must have the same size, but axis ", axes_a[i], " of shape ", a.shape(),
          " and axis ", axes_b[i], " of shape ", b.shape(), " do not.");
  }
  std::vector<int> outer_a = other_axes(inner_a, a), outer_b = other_axes(inner_b, b);
  Shape out_shape;
  for (int axis : outer_a) {
    out_shape.push_back(a.shape(axis));
  }
  for (int axis : outer_b) {
    out_shape.push_back(b.shape(axis));
  }
  int m = extent(a, outer_a), n = extent(b, outer_b), k = extent(a, inner_a);
  std::vector<int> order_a = outer_a, order_b = inner_b;
  order_a.insert(order_a.end(), inner_a.begin(), inner_a.end());
  order_b.insert(order_b.end(), outer_b.begin(), outer_b.end());
  array left = reshape(transpose(a, order_a, s), {m, k}, s);
  array right = reshape(transpose(b, order_b, s), {k, n}, s);
  return reshape(matmul(left, right, s), std::move(out_shape), s);
}

array outer(const array& a, const array& b, StreamOrDevice s) {
  return multiply(expand_dims(flatten(a, s), 1, s), flatten(b, s), s);
}

array inner(const array& a, const array& b, StreamOrDevice s) {
  if (a.ndim() == 0 || b.ndim() == 0) {
    return multiply(a, b, s);
  }
  check(a.shape(-1) == b.shape(-1), "inner", "Inputs with shapes ", a.shape(), " and ", b.shape(),
        " must have the same last dimension.");
  return tensordot(a, b, {-1}, {-1}, s);
}

array vecdot(const array& a, const array& b, int axis, StreamOrDevice s) {
  int axis_a = normalize_axis_index(axis, static_cast<int>(a.ndim()), "[vecdot] ");
  int axis_b = normalize_axis_index(axis, static_cast<int>(b.ndim()), "[vecdot] ");
  check(axis < 0 || a.ndim() == b.ndim(), "vecdot",
        "Inputs with different numbers of dimensions need a negative axis; shapes are ", a.shape(),
        " and ", b.shape(), ".");
  check(a.shape(axis_a) == b.shape(axis_b), "vecdot", "Inputs with shapes ", a.shape(), " and ",
        b.shape(), " must have the same size along axis ", axis, ".");
  array terms = multiply(conjugate(a, s), b, s);
  return sum(terms, axis < 0 ? axis : axis - static_cast<int>(a.ndim()), false, s);
}

}  // namespace mlx::core
