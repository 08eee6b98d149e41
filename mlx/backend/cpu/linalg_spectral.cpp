// Eigenvalues and their vectors on the CPU. A matrix takes one thread, and those of a batch go in
// parallel; vectors of a large Hermitian one by itself are brought back in all threads.
#include <algorithm>
#include <limits>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/linalg_reflections.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

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

/** Fills the lower triangle of a column-major Hermitian matrix from the upper one. */
template <typename T>
void mirror(T* a, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = j + 1; i < n; i++) {
      T x = a[j + i * n];
      if constexpr (Lapack<T>::complex) {
        x = std::conj(x);
      }
      a[i + j * n] = x;
    }
  }
}

/** The steps of heevd, with vectors: those of the matrix of three diagonals are brought back in all
 *  threads. */
template <typename T>
int diagonalize(bool upper, int n, T* a, typename Lapack<T>::Real* w) {
  using Real = typename Lapack<T>::Real;
  if (upper) {
    mirror(a, n);
  }
  const auto& lapack = Lapack<T>::instance();
  size_t size = size_t(n) * n;
  std::vector<Real> e(n), vectors(size), work(1 + 4 * size_t(n) + size);
  std::vector<T> tau(n);
  std::vector<int> iwork(3 + 5 * size_t(n));
  int info = 0, lwork = static_cast<int>(work.size()), liwork = static_cast<int>(iwork.size());
  with_workspace<T>("linalg::eigh", [&](T* space, int count) {
    lapack.hetrd("L", &n, a, &n, w, e.data(), tau.data(), space, &count, &info, 1);
  });
  lapack.stedc("I", &n, w, e.data(), vectors.data(), &n, work.data(), &lwork, iwork.data(), &liwork,
               &info, 1);
  if (info != 0) {
    return info;
  }
  std::vector<T> out(vectors.begin(), vectors.end());
  Reflections<T> q({a, 1, n, n, n - 1, 1, false}, tau.data());
  for_blocks(n,
             [&](int begin, int end) { q.apply(out.data() + size_t(begin) * n, n, end - begin); });
  std::copy(out.begin(), out.end(), a);
  return 0;
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
  bool alone = matrix_count(a) == 1;
  for_matrices(
      "linalg::eigh", matrix_count(a), 6.0 * size * n, alone,
      [&](int64_t i) {
        T* matrix = matrices + i * size;
        if (!all_finite(matrix, size)) {
          Real nan = std::numeric_limits<Real>::quiet_NaN();
          std::fill(matrix, matrix + size, T(nan));
          std::fill(values + i * n, values + (i + 1) * n, nan);
          return 0;
        }
        if (alone && vectors && n >= worth_threads && needs_no_scaling(matrix, size)) {
          return diagonalize<T>(upper, n, matrix, values);
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

const Register<Eigh> eigh(eval_eigh);
const Register<Eig> eig(eval_eig);

}  // namespace

}  // namespace mlx::core::cpu
