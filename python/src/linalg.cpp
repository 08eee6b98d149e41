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

/** A tuple type for the results of one function, made when the first of them is. */
struct Named {
  const char* type;
  const char* fields;

  template <typename... Parts>
  nb::object operator()(const Parts&... parts) const {
    // Kept by the module, so that it ends with the interpreter.
    nb::object home = nb::module_::import_("mlx.core").attr("linalg");
    nb::object made = nb::getattr(home, type, nb::none());
    if (made.is_none()) {
      made = nb::module_::import_("collections")
                 .attr("namedtuple")(type, fields, "module"_a = "mlx.core.linalg");
      home.attr(type) = made;
    }
    return made(parts...);
  }
};

nb::object singular_parts(const array& a, bool compute_uv, bool full_matrices, StreamOrDevice s) {
  if (!compute_uv) {
    return nb::cast(linalg::svdvals(a, s));
  }
  auto parts = full_matrices ? linalg::svd(a, s) : linalg::svd_reduced(a, s);
  return Named{"SVDResult", "U S Vh"}(parts[0], parts[1], parts[2]);
}

/** With mode 'complete', Q is square: the factor of the matrix beside the identity begins with that
 *  of the matrix alone. */
nb::object orthogonal_parts(const array& a, const std::string& mode, StreamOrDevice s) {
  check(mode == "reduced" || mode == "complete", "linalg.qr", "Unknown mode '", mode,
        "', expected 'reduced' or 'complete'.");
  const Named result{"QRResult", "Q R"};
  if (mode == "reduced" || a.ndim() < 2 || a.shape(-2) <= a.shape(-1)) {
    auto [q, r] = linalg::qr(a, s);
    return result(q, r);
  }
  int n = a.shape(-1);
  Shape square(a.shape());
  square.back() = a.shape(-2);
  array beside = broadcast_to(identity(a.shape(-2), a.dtype(), s), square, s);
  auto [q, r] = linalg::qr(concatenate({a, beside}, -1, s), s);
  Shape end(r.shape());
  end.back() = n;
  return result(q, slice(r, Shape(r.ndim(), 0), end, s));
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

array vector_norm_by(const array& a, double ord, const Axes& axis, bool keepdims,
                     StreamOrDevice s) {
  std::optional<std::vector<int>> axes;
  if (!axis.all()) {
    axes = axis.values;
  }
  return linalg::vector_norm(a, ord, axes, keepdims, s);
}

/** Singular values above `rtol` (for each matrix) times the largest. */
array above(const array& values, Operand rtol, StreamOrDevice s) {
  array largest = max(values, -1, true, s);
  array share = expand_dims(to_array(rtol, values.dtype()), -1, s);
  return greater(values, multiply(largest, share, s), s);
}

array rank_by(const array& a, std::optional<double> tol, std::optional<Operand> rtol,
              StreamOrDevice s) {
  if (!rtol) {
    return linalg::matrix_rank(a, tol, s);
  }
  check(!tol, "linalg.matrix_rank", "Either `tol` or `rtol` can be given.");
  array values = linalg::svdvals(a, s);
  return values.shape(-1) == 0 ? linalg::matrix_rank(a, tol, s)
                               : sum(above(values, *rtol, s), -1, false, s);
}

array pinv_by(const array& a, std::optional<double> rcond, std::optional<Operand> rtol,
              StreamOrDevice s) {
  check(!rcond || !rtol, "linalg.pinv", "Either `rcond` or `rtol` can be given.");
  if (rtol && !as_array(rtol->object)) {
    rcond = nb::cast<double>(nb::handle(rtol->object));
  }
  if (!rtol || rcond || a.size() == 0) {
    return rcond ? linalg::pinv(a, *rcond, s) : linalg::pinv(a, s);
  }
  auto parts = linalg::svd_reduced(a, s);
  const array &u = parts[0], &values = parts[1], &vh = parts[2];
  array kept = above(values, *rtol, s);
  array zero(0, values.dtype());
  array inverse =
      where(kept, reciprocal(where(kept, values, array(1, values.dtype()), s), s), zero, s);
  auto transposed = [&](const array& x) { return conjugate(matrix_transpose(x, s), s); };
  return matmul(multiply(transposed(vh), expand_dims(inverse, -2, s), s), transposed(u), s);
}

array trace_by(const array& a, int offset, std::optional<Dtype> dtype, StreamOrDevice s) {
  return dtype ? core::trace(a, offset, -2, -1, *dtype, s) : linalg::trace(a, offset, s);
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
  m.def("qr", &orthogonal_parts, "a"_a, nb::kw_only(), "mode"_a = "reduced",
        "stream"_a = nb::none(),
        nb::sig("def qr(a: array, *, mode: str = 'reduced', stream: StreamOrDevice = None) -> "
                "tuple[array, array]"),
        "Q with orthonormal columns and upper triangular R; Q is square with mode 'complete'.");
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
  m.def(
      "eig",
      [](const array& a, StreamOrDevice s) {
        auto [values, vectors] = linalg::eig(a, s);
        return Named{"EigResult", "eigenvalues eigenvectors"}(values, vectors);
      },
      "a"_a, nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def eig(a: array, *, stream: StreamOrDevice = None) -> tuple[array, array]"),
      "Eigenvalues and eigenvectors (columns), complex.");
  def_of_matrix(m, "eigvals", &linalg::eigvals, "Eigenvalues, complex.");
  m.def(
      "eigh",
      [](const array& a, const std::string& uplo, StreamOrDevice s) {
        auto [values, vectors] = linalg::eigh(a, uplo, s);
        return Named{"EighResult", "eigenvalues eigenvectors"}(values, vectors);
      },
      "a"_a, "UPLO"_a = "L", nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def eigh(a: array, UPLO: str = 'L', *, stream: StreamOrDevice = None) -> "
              "tuple[array, array]"),
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
      "pinv", &pinv_by, "a"_a, nb::kw_only(), "rcond"_a = nb::none(), "rtol"_a = nb::none(),
      "stream"_a = nb::none(),
      "The pseudo-inverse. Singular values up to `rcond` (or `rtol`, which may be an array for a\n"
      "batch) times the largest count as zero.");
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
  m.def(
      "slogdet",
      [](const array& a, StreamOrDevice s) {
        auto [sign, logarithm] = linalg::slogdet(a, s);
        return Named{"SlogdetResult", "sign logabsdet"}(sign, logarithm);
      },
      "a"_a, nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def slogdet(a: array, *, stream: StreamOrDevice = None) -> tuple[array, array]"),
      "Sign and logarithm of the determinant.");
  m.def("matrix_rank", &rank_by, "a"_a, "tol"_a = nb::none(), nb::kw_only(), "rtol"_a = nb::none(),
        "stream"_a = nb::none(),
        "The number of singular values above `tol`, or above `rtol` times the largest; by default\n"
        "max(m, n) eps times the largest.");
  m.def("matrix_power", &linalg::matrix_power, "a"_a, "n"_a, nb::kw_only(), "stream"_a = nb::none(),
        "The matrix multiplied n times; its inverse for negative n.");
  def_of_matrix(m, "expm", &linalg::expm, "The exponential of a matrix.");
  m.def("trace", &trace_by, "a"_a, nb::kw_only(), "offset"_a = 0, "dtype"_a = nb::none(),
        "stream"_a = nb::none(), "The sum of a diagonal of the matrices in the last two axes.");
  m.def(
      "diagonal",
      [](const array& a, int offset, StreamOrDevice s) { return diagonal(a, offset, -2, -1, s); },
      "a"_a, nb::kw_only(), "offset"_a = 0, "stream"_a = nb::none(),
      "The diagonals of the matrices in the last two axes.");
}

}  // namespace

void bind_linalg(nb::module_& parent) {
  auto m = parent.def_submodule("linalg", "Linear algebra over the last two axes.");
  bind_norms(m);
  parent.attr("matrix_norm") = m.attr("norm");
  bind_factorisations(m);
  bind_solvers(m);
  bind_functions(m);
  for (const char* name : {"matmul", "matrix_transpose", "outer", "tensordot", "vecdot"}) {
    m.attr(name) = parent.attr(name);
  }
}

}  // namespace mlx::python
