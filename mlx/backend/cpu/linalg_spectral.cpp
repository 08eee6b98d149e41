// Singular values, eigenvalues and their vectors on the CPU, by divide and conquer. A matrix takes
// one thread; those of a batch go in parallel.
#include <algorithm>
#include <limits>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

/** One call of gesdd; `lwork` of -1 asks for the size of the workspace. */
template <typename T>
int gesdd(const char* job, int m, int n, T* a, typename Lapack<T>::Real* s, T* u, T* vt, int ldvt,
          T* work, int lwork) {
  const auto& lapack = Lapack<T>::instance();
  int64_t small = std::min(m, n), large = std::max(m, n);
  std::vector<int> iwork(lwork < 0 ? 1 : 8 * small);
  int info = 0, lda = std::max(m, 1);
  if constexpr (Lapack<T>::complex) {
    int64_t reals = *job == 'N' ? 7 * small : small * (5 * small + 7 + 2 * large + 2 * small + 1);
    std::vector<typename Lapack<T>::Real> rwork(lwork < 0 ? 1 : reals);
    lapack.gesdd(job, &m, &n, a, &lda, s, u, &lda, vt, &ldvt, work, &lwork, rwork.data(),
                 iwork.data(), &info, 1);
  } else {
    lapack.gesdd(job, &m, &n, a, &lda, s, u, &lda, vt, &ldvt, work, &lwork, iwork.data(), &info, 1);
  }
  return info;
}

/** The SVD of row-major matrices as that of their transposes: A^T = conj(V) S U^T. */
template <typename T>
void decompose_all(array& a, array* u, array& s, array* vt, bool full) {
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n), u_columns = full ? m : k;
  int64_t v_rows = full ? n : k;
  const char* job = !u ? "N" : full ? "A" : "S";
  T* matrices = elements<T>(a);
  auto* values = elements<typename Lapack<T>::Real>(s);
  T none{}, wanted{};
  T *left = u ? elements<T>(*u) : &none, *right = vt ? elements<T>(*vt) : &none;
  gesdd<T>(job, n, m, matrices, values, right, left, u_columns, &wanted, -1);
  int lwork = workspace_size("linalg::svd", std::real(wanted));
  for_matrices(
      "linalg::svd", matrix_count(a), 8.0 * m * n * k, false,
      [&](int64_t i) {
        T* matrix = matrices + i * m * n;
        if (!all_finite(matrix, int64_t{m} * n)) {
          return not_finite;
        }
        std::vector<T> work(lwork);
        return gesdd<T>(job, n, m, matrix, values + i * k, u ? right + i * v_rows * n : right,
                        u ? left + i * m * u_columns : left, u_columns, work.data(), lwork);
      },
      not_converged);
}

void fill_identity(array& out) {
  int64_t rows = out.shape(-2), columns = out.shape(-1);
  with_matrix_type(out.dtype(), [&](auto t) {
    using T = decltype(t);
    T* x = elements<T>(out);
    for (size_t i = 0; i < out.size(); i++) {
      x[i] = T(i / columns % rows == i % columns ? 1 : 0);
    }
  });
}

/** One call of syevd or heevd; the first elements of the workspaces hold the sizes they want. */
template <typename T>
int heevd(const char* job, const char* uplo, int n, T* a, typename Lapack<T>::Real* w,
          std::vector<T>& work, std::vector<typename Lapack<T>::Real>& rwork,
          std::vector<int>& iwork, bool ask) {
  const auto& lapack = Lapack<T>::instance();
  int lwork = ask ? -1 : static_cast<int>(work.size()), info = 0;
  int liwork = ask ? -1 : static_cast<int>(iwork.size());
  if constexpr (Lapack<T>::complex) {
    int lrwork = ask ? -1 : static_cast<int>(rwork.size());
    lapack.heevd(job, uplo, &n, a, &n, w, work.data(), &lwork, rwork.data(), &lrwork, iwork.data(),
                 &liwork, &info, 1, 1);
  } else {
    lapack.heevd(job, uplo, &n, a, &n, w, work.data(), &lwork, iwork.data(), &liwork, &info, 1, 1);
  }
  return info;
}

template <typename T>
void diagonalize_all(array& a, array& w, bool upper, bool vectors) {
  using Real = typename Lapack<T>::Real;
  int n = a.shape(-1);
  int64_t size = int64_t{n} * n;
  T* matrices = elements<T>(a);
  Real* values = elements<Real>(w);
  const char *job = vectors ? "V" : "N", *uplo = upper ? "U" : "L";
  std::vector<T> wanted(1);
  std::vector<Real> rwanted(1);
  std::vector<int> iwanted(1);
  heevd<T>(job, uplo, n, matrices, values, wanted, rwanted, iwanted, true);
  int lwork = workspace_size("linalg::eigh", std::real(wanted[0]));
  int lrwork = workspace_size("linalg::eigh", rwanted[0]);
  for_matrices(
      "linalg::eigh", matrix_count(a), 6.0 * size * n, false,
      [&](int64_t i) {
        T* matrix = matrices + i * size;
        if (!all_finite(matrix, size)) {
          Real nan = std::numeric_limits<Real>::quiet_NaN();
          std::fill(matrix, matrix + size, T(nan));
          std::fill(values + i * n, values + (i + 1) * n, nan);
          return 0;
        }
        std::vector<T> work(lwork);
        std::vector<Real> rwork(lrwork);
        std::vector<int> iwork(iwanted[0]);
        return heevd<T>(job, uplo, n, matrix, values + i * n, work, rwork, iwork, false);
      },
      not_converged);
}

/** Vectors of real matrices: a pair of columns is real and imaginary part of one, and a conjugate
 *  one after it. */
template <typename Real>
void unpack_vectors(const Real* packed, const Real* imaginary, std::complex<Real>* out, int n) {
  for (int64_t j = 0; j < n; j++) {
    bool pair = imaginary[j] != 0 && j + 1 < n;
    for (int64_t i = 0; i < n; i++) {
      Real re = packed[j * n + i], im = pair ? packed[(j + 1) * n + i] : 0;
      out[j * n + i] = {re, im};
      if (pair) {
        out[(j + 1) * n + i] = {re, -im};
      }
    }
    j += pair ? 1 : 0;
  }
}

/** One matrix; `v` is null where no vectors are wanted. A call without `work` asks for its size. */
template <typename T, typename Real = typename Lapack<T>::Real>
int geev(int n, T* a, std::complex<Real>* w, std::complex<Real>* v, std::vector<T>* work,
         T* wanted) {
  const auto& lapack = Lapack<T>::instance();
  const char* job = v ? "V" : "N";
  int info = 0, lwork = work ? static_cast<int>(work->size()) : -1, one = 1, ldv = v ? n : 1;
  T* space = work ? work->data() : wanted;
  T none{};
  if constexpr (Lapack<T>::complex) {
    std::vector<Real> rwork(2 * static_cast<size_t>(n));
    lapack.geev("N", job, &n, a, &n, w, &none, &one, v ? v : &none, &ldv, space, &lwork,
                rwork.data(), &info, 1, 1);
  } else {
    std::vector<Real> real(n), imaginary(n);
    std::vector<T> packed(v ? static_cast<size_t>(n) * n : 1);
    lapack.geev("N", job, &n, a, &n, real.data(), imaginary.data(), &none, &one, packed.data(),
                &ldv, space, &lwork, &info, 1, 1);
    for (int i = 0; i < n && work; i++) {
      w[i] = {real[i], imaginary[i]};
    }
    if (v && work) {
      unpack_vectors(packed.data(), imaginary.data(), v, n);
    }
  }
  return info;
}

template <typename T>
void eigen_all(array& a, array& w, array* v) {
  using Out = std::complex<typename Lapack<T>::Real>;
  int n = a.shape(-1);
  int64_t size = int64_t{n} * n;
  T *matrices = elements<T>(a), wanted{};
  Out *values = elements<Out>(w), *vectors = v ? elements<Out>(*v) : nullptr;
  geev<T>(n, matrices, values, vectors, nullptr, &wanted);
  int lwork = workspace_size("linalg::eig", std::real(wanted));
  for_matrices(
      "linalg::eig", matrix_count(a), 25.0 * size * n, false,
      [&](int64_t i) {
        if (!all_finite(matrices + i * size, size)) {
          return not_finite;
        }
        std::vector<T> work(lwork);
        return geev<T>(n, matrices + i * size, values + i * n, v ? vectors + i * size : nullptr,
                       &work, nullptr);
      },
      not_converged);
}

void eval_svd(SVD& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = rows_copy(inputs[0]);
  for (array& out : outputs) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  bool alone = primitive.vectors() == SVD::Vectors::none;
  if (a.size() > 0) {
    with_matrix_type(a.dtype(), [&](auto t) {
      decompose_all<decltype(t)>(a, alone ? nullptr : &outputs[0], outputs[alone ? 0 : 1],
                                 alone ? nullptr : &outputs[2],
                                 primitive.vectors() == SVD::Vectors::full);
    });
  } else if (!alone) {
    fill_identity(outputs[0]);
    fill_identity(outputs[2]);
  }
}

void eval_eigh(Eigh& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  // Row-major memory holds A^T, which is A with its triangles exchanged; conjugated, if complex.
  bool complex = is_complex_dtype(inputs[0].dtype());
  array a = complex ? columns_copy(inputs[0]) : rows_copy(inputs[0]);
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  if (a.size() > 0) {
    with_matrix_type(a.dtype(), [&](auto t) {
      diagonalize_all<decltype(t)>(a, outputs[0], primitive.upper() == complex,
                                   primitive.vectors());
    });
  }
  if (primitive.vectors()) {
    take_buffer(a, outputs[1], column_major_strides(a.shape()));
  }
}

void eval_eig(Eig& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = columns_copy(inputs[0]);
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  if (primitive.vectors()) {
    allocate_columns(outputs[1]);
  }
  if (a.size() > 0) {
    with_matrix_type(a.dtype(), [&](auto t) {
      eigen_all<decltype(t)>(a, outputs[0], primitive.vectors() ? &outputs[1] : nullptr);
    });
  }
}

const Register<SVD> svd(eval_svd);
const Register<Eigh> eigh(eval_eigh);
const Register<Eig> eig(eval_eig);

}  // namespace

}  // namespace mlx::core::cpu
