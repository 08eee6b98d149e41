// Linear algebra, mlx.core.linalg.
#include "mlx/linalg.h"

#include "mlx/core/errors.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

array norm_by(const array& a, nb::handle ord, const Axes& axis, bool keepdims, StreamOrDevice s) {
  std::optional<std::vector<int>> axes;
  if (!axis.all()) {
    axes = axis.values;
  }
  if (ord.is_none()) {
    return linalg::norm(a, axes, keepdims, s);
  }
  if (nb::isinstance<nb::str>(ord)) {
    return linalg::norm(a, nb::cast<std::string>(ord), axes, keepdims, s);
  }
  double order = PyFloat_AsDouble(ord.ptr());
  if (order == -1.0 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  return linalg::norm(a, order, axes, keepdims, s);
}

using Pair = std::pair<array, array>;

nb::object singular_parts(const array& a, bool compute_uv, bool full_matrices, StreamOrDevice s) {
  if (!compute_uv) {
    return nb::cast(linalg::svdvals(a, s));
  }
  auto parts = full_matrices ? linalg::svd(a, s) : linalg::svd_reduced(a, s);
  return nb::make_tuple(parts[0], parts[1], parts[2]);
}

array cond_by(const array& a, nb::handle p, StreamOrDevice s) {
  if (p.is_none()) {
    return linalg::cond(a, s);
  }
  if (nb::isinstance<nb::str>(p)) {
    return linalg::cond(a, nb::cast<std::string>(p), s);
  }
  return linalg::cond(a, nb::cast<double>(p), s);
}

array matrix_norm_by(const array& a, nb::handle ord, bool keepdims, StreamOrDevice s) {
  if (nb::isinstance<nb::str>(ord)) {
    return linalg::matrix_norm(a, nb::cast<std::string>(ord), keepdims, s);
  }
  return linalg::matrix_norm(a, nb::cast<double>(ord), keepdims, s);
}

array vector_norm_by(const array& a, double ord, std::optional<int> axis, bool keepdims,
                     StreamOrDevice s) {
  std::optional<std::vector<int>> axes;
  if (axis) {
    axes = std::vector<int>{*axis};
  }
  return linalg::vector_norm(a, ord, axes, keepdims, s);
}

/** `op(a, *, stream=None)`. */
template <typename F>
void def_of_matrix(nb::module_& m, const char* name, F f, const char* doc) {
  m.def(name, f, "a"_a, nb::kw_only(), "stream"_a = nb::none(), doc);
}

void bind_norms(nb::module_& m) {
  m.def(
      "norm", &norm_by, "a"_a, "ord"_a = nb::none(), "axis"_a = nb::none(), "keepdims"_a = false,
      nb::kw_only(), "stream"_a = nb::none(),
      "The norm of vectors (one axis) or matrices (two axes): of order `ord`, a number, 'fro' or\n"
      "'nuc'; without an order the 2-norm of all elements over the axes, of all without axes.");
  m.def("vector_norm", &vector_norm_by, "a"_a, "ord"_a = 2.0, "axis"_a = nb::none(),
        "keepdims"_a = false, nb::kw_only(), "stream"_a = nb::none(),
        "The norm of the vectors in an axis, or of all elements.");
  m.def("matrix_norm", &matrix_norm_by, "a"_a, "ord"_a = "fro", "keepdims"_a = false, nb::kw_only(),
        "stream"_a = nb::none(), "The norm of the matrices in the last two axes.");
  m.def("cross", &linalg::cross, "a"_a, "b"_a, "axis"_a = -1, nb::kw_only(),
        "stream"_a = nb::none(), "The cross product of vectors of 2 or 3 components in an axis.");
  m.def("cond", &cond_by, "a"_a, "p"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
        "The condition number norm(a) * norm(inv(a)); by singular values without `p`.");
}

void bind_factorisations(nb::module_& m) {
  def_of_matrix(m, "qr", &linalg::qr, "Q with orthonormal columns and upper triangular R.");
  m.def("svd", &singular_parts, "a"_a, "compute_uv"_a = true, nb::kw_only(),
        "full_matrices"_a = true, "stream"_a = nb::none(),
        nb::sig("def svd(a: array, compute_uv: bool = True, *, full_matrices: bool = True, "
                "stream: StreamOrDevice = None) -> Any"),
        "U, S and Vt with a = U @ diag(S) @ Vt, singular values descending; or S alone.\n"
        "U and Vt are square, or of reduced size without `full_matrices`.");
  def_of_matrix(m, "svdvals", &linalg::svdvals, "Singular values, descending.");
  m.def("cholesky", &linalg::cholesky, "a"_a, "upper"_a = false, nb::kw_only(),
        "stream"_a = nb::none(),
        "L with a = L @ L^H of a positive definite matrix, or U with a = U^H @ U. Only that\n"
        "triangle is read. Raises where the matrix is not positive definite.");
  def_of_matrix(
      m, "lu",
      +[](const array& a, StreamOrDevice s) {
        auto parts = linalg::lu(a, s);
        return nb::make_tuple(parts[0], parts[1], parts[2]);
      },
      "p, L and U with a = L[p] @ U (of a batch: take_along_axis(L, p[..., None], -2) @ U).");
  def_of_matrix(m, "lu_factor", &linalg::lu_factor,
                "L and U in one matrix, and the row that each row was exchanged with.");
  def_of_matrix(m, "eig", &linalg::eig, "Eigenvalues and eigenvectors (columns), complex.");
  def_of_matrix(m, "eigvals", &linalg::eigvals, "Eigenvalues, complex.");
  m.def("eigh", &linalg::eigh, "a"_a, "UPLO"_a = "L", nb::kw_only(), "stream"_a = nb::none(),
        "Eigenvalues, ascending, and eigenvectors (columns) of a Hermitian matrix, of which the\n"
        "lower or the upper triangle is read.");
  m.def("eigvalsh", &linalg::eigvalsh, "a"_a, "UPLO"_a = "L", nb::kw_only(),
        "stream"_a = nb::none(), "Eigenvalues, ascending, of a Hermitian matrix.");
}

void bind_solvers(nb::module_& m) {
  def_of_matrix(m, "inv", &linalg::inv, "The inverse. Raises where a matrix is singular.");
  m.def("tri_inv", &linalg::tri_inv, "a"_a, "upper"_a = false, nb::kw_only(),
        "stream"_a = nb::none(), "The inverse of a lower or upper triangular matrix.");
  m.def("cholesky_inv", &linalg::cholesky_inv, "a"_a, "upper"_a = false, nb::kw_only(),
        "stream"_a = nb::none(), "The inverse of a matrix from its Cholesky factor `a`.");
  m.def(
      "pinv",
      [](const array& a, std::optional<double> rcond, StreamOrDevice s) {
        return rcond ? linalg::pinv(a, *rcond, s) : linalg::pinv(a, s);
      },
      "a"_a, nb::kw_only(), "rcond"_a = nb::none(), "stream"_a = nb::none(),
      "The pseudo-inverse. Singular values up to `rcond` times the largest count as zero.");
  m.def("solve", &linalg::solve, "a"_a, "b"_a, nb::kw_only(), "stream"_a = nb::none(),
        "x with a @ x = b. Raises where a matrix is singular.");
  m.def("solve_triangular", &linalg::solve_triangular, "a"_a, "b"_a, nb::kw_only(),
        "upper"_a = false, "stream"_a = nb::none(),
        "x with a @ x = b for a lower or upper triangular matrix.");
  m.def(
      "lstsq",
      [](const array& a, const array& b, std::optional<double> rcond, StreamOrDevice s) {
        auto parts = linalg::lstsq(a, b, rcond, s);
        return nb::make_tuple(parts[0], parts[1], parts[2], parts[3]);
      },
      "a"_a, "b"_a, "rcond"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "The shortest x of those with the smallest norm(a @ x - b), the sums of squares of what\n"
      "remains, the rank and the singular values of `a`.");
}

void bind_functions(nb::module_& m) {
  def_of_matrix(m, "det", &linalg::det, "The determinant.");
  def_of_matrix(m, "slogdet", &linalg::slogdet, "Sign and logarithm of the determinant.");
  m.def("matrix_rank", &linalg::matrix_rank, "a"_a, "tol"_a = nb::none(), nb::kw_only(),
        "stream"_a = nb::none(),
        "The number of singular values above `tol`, by default max(m, n) eps times the largest.");
  m.def("matrix_power", &linalg::matrix_power, "a"_a, "n"_a, nb::kw_only(), "stream"_a = nb::none(),
        "The matrix multiplied n times; its inverse for negative n.");
  def_of_matrix(m, "expm", &linalg::expm, "The exponential of a matrix.");
  m.def("trace", &linalg::trace, "a"_a, nb::kw_only(), "offset"_a = 0, "stream"_a = nb::none(),
        "The sum of a diagonal.");
}

}  // namespace

void bind_linalg(nb::module_& parent) {
  auto m = parent.def_submodule("linalg", "Linear algebra over the last two axes.");
  bind_norms(m);
  parent.attr("matrix_norm") = m.attr("norm");
  bind_factorisations(m);
  bind_solvers(m);
  bind_functions(m);
}

}  // namespace mlx::python
