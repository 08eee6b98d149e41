// Singular values and vectors on the CPU, by divide and conquer. A matrix takes one thread, and
// those of a batch go in parallel; vectors of a large one by itself are brought back in all
// threads.
#include <algorithm>
#include <vector>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/linalg_bidiagonal.h"
#include "mlx/backend/cpu/linalg_reflections.h"
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

/** The steps of gesdd for a matrix that is not much longer than wide, column major with m rows. */
template <typename T>
class Bidiagonal {
 public:
  using Real = typename Lapack<T>::Real;

  Bidiagonal(int m, int n, T* a, Real* s)
      : m_(m), n_(n), k_(std::min(m, n)), a_(a), s_(s), e_(k_), tau_q_(k_), tau_p_(k_) {}

  /** Whether threads have something to gain, and gesdd would do the same. */
  static bool suits(int m, int n, const T* a) {
    int small = std::min(m, n);
    return small >= worth_threads && std::max(m, n) <= small + small / 2 &&
           needs_no_scaling(a, int64_t{m} * n);
  }

  /** U with m rows and V^H with `v_rows`. Returns an info code. */
  int decompose(T* u, int u_columns, T* vh, int v_rows) {
    reduce();
    size_t k = k_;
    std::vector<Real> left(k * k), right(k * k);
    int info = decompose_bidiagonal(m_ >= n_, k_, s_, e_.data(), left.data(), right.data());
    if (info == 0) {
      bring_back(left, right, u, u_columns, vh, v_rows);
    }
    return info;
  }

 private:
  void reduce() {
    with_workspace<T>("linalg::svd", [&](T* work, int size) {
      int info = 0;
      lapack_.gebrd(&m_, &n_, a_, &m_, s_, e_.data(), tau_q_.data(), tau_p_.data(), work, &size,
                    &info);
    });
  }

  void bring_back(const std::vector<Real>& left, const std::vector<Real>& right, T* u,
                  int u_columns, T* vh, int v_rows) const {
    int wide = m_ < n_ ? 1 : 0;
    Reflections<T> q({a_, 1, m_, m_, k_ - wide, wide, false}, tau_q_.data());
    Reflections<T> p({a_, m_, 1, n_, k_ - 1 + wide, 1 - wide, true}, tau_p_.data());
    for_blocks(int64_t{u_columns} + v_rows, [&](int begin, int end) {
      for (int j = begin; j < std::min(end, u_columns); j++) {
        place(left.data() + int64_t{j} * k_, 1, j, u + int64_t{j} * m_, m_);
      }
      if (begin < u_columns) {
        q.apply(u + int64_t{begin} * m_, m_, std::min(end, u_columns) - begin);
      }
      bring_rows_back(p, right, vh, v_rows, std::max(begin - u_columns, 0), end - u_columns);
    });
  }

  /** Rows [begin, end) of V^H, the adjoints of columns of V. */
  void bring_rows_back(const Reflections<T>& p, const std::vector<Real>& right, T* vh, int v_rows,
                       int begin, int end) const {
    if (begin >= end) {
      return;
    }
    Scratch scratch(sizeof(T) * n_ * (end - begin));
    T* columns = scratch.as<T>();
    for (int j = begin; j < end; j++) {
      place(right.data() + j, k_, j, columns + int64_t{j - begin} * n_, n_);
    }
    p.apply(columns, n_, end - begin);
    for (int64_t r = 0; r < n_; r++) {
      for (int64_t j = begin; j < end; j++) {
        T x = columns[(j - begin) * n_ + r];
        if constexpr (Lapack<T>::complex) {
          x = std::conj(x);
        }
        vh[j + r * v_rows] = x;
      }
    }
  }

  /** Column j of a matrix with `rows` rows: of the k x k one, and beyond of the identity. */
  void place(const Real* numbers, int64_t step, int j, T* column, int rows) const {
    std::fill_n(column, rows, T{});
    if (j >= k_) {
      column[j] = T{1};
      return;
    }
    for (int64_t i = 0; i < k_; i++) {
      column[i] = numbers[i * step];
    }
  }

  const Lapack<T>& lapack_ = Lapack<T>::instance();
  int m_, n_, k_;
  T* a_;
  Real* s_;
  std::vector<Real> e_;
  std::vector<T> tau_q_, tau_p_;
};

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
  bool alone = matrix_count(a) == 1;
  for_matrices(
      "linalg::svd", matrix_count(a), 8.0 * m * n * k, alone,
      [&](int64_t i) {
        T* matrix = matrices + i * m * n;
        if (!all_finite(matrix, int64_t{m} * n)) {
          return not_finite;
        }
        if (alone && u && Bidiagonal<T>::suits(n, m, matrix)) {
          return Bidiagonal<T>(n, m, matrix, values)
              .decompose(right, static_cast<int>(v_rows), left, u_columns);
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

const Register<SVD> registered(eval_svd);

}  // namespace

}  // namespace mlx::core::cpu
