// Decompositions and solvers of cuSOLVER and cuBLAS, which are opened at the first use.
#pragma once

#include "mlx/stream.h"

#if __has_include(<cusolverDn.h>) && __has_include(<cublas_v2.h>)
#define MLX_HAS_CUSOLVER 1
#include <cublas_v2.h>
#include <cusolverDn.h>

#include <type_traits>

namespace mlx::core::cuda {

/** The routines for float, double or cuComplex, by their LAPACK names. Matrices are column major.
 */
template <typename T>
struct MatrixRoutines {
  using Real = std::conditional_t<std::is_same_v<T, cuComplex>, float, T>;
  using Solver = cusolverDnHandle_t;
  using Blas = cublasHandle_t;
  using Fill = cublasFillMode_t;
  using Vectors = cusolverEigMode_t;

  cusolverStatus_t (*potrf_batched)(Solver, Fill, int n, T** a, int lda, int* infos, int batch);
  cusolverStatus_t (*getrf_size)(Solver, int m, int n, T* a, int lda, int* lwork);
  cusolverStatus_t (*getrf)(Solver, int m, int n, T* a, int lda, T* work, int* pivots, int* info);
  cusolverStatus_t (*getrs)(Solver, cublasOperation_t, int n, int k, const T* a, int lda,
                            const int* pivots, T* b, int ldb, int* info);
  cublasStatus_t (*getrf_batched)(Blas, int n, T* const* a, int lda, int* pivots, int* infos,
                                  int batch);
  cublasStatus_t (*getrs_batched)(Blas, cublasOperation_t, int n, int k, const T* const* a, int lda,
                                  const int* pivots, T* const* b, int ldb, int* info, int batch);
  cublasStatus_t (*getri_batched)(Blas, int n, const T* const* a, int lda, const int* pivots,
                                  T* const* x, int ldx, int* infos, int batch);
  cublasStatus_t (*trsm)(Blas, cublasSideMode_t, Fill, cublasOperation_t, cublasDiagType_t, int m,
                         int n, const T* alpha, const T* a, int lda, T* b, int ldb);
  cublasStatus_t (*trsm_batched)(Blas, cublasSideMode_t, Fill, cublasOperation_t, cublasDiagType_t,
                                 int m, int n, const T* alpha, const T* const* a, int lda,
                                 T* const* b, int ldb, int batch);
  cusolverStatus_t (*geqrf_size)(Solver, int m, int n, T* a, int lda, int* lwork);
  cusolverStatus_t (*geqrf)(Solver, int m, int n, T* a, int lda, T* tau, T* work, int lwork,
                            int* info);
  cusolverStatus_t (*orgqr_size)(Solver, int m, int n, int k, const T* a, int lda, const T* tau,
                                 int* lwork);
  cusolverStatus_t (*orgqr)(Solver, int m, int n, int k, T* a, int lda, const T* tau, T* work,
                            int lwork, int* info);
  cusolverStatus_t (*gesvdj_size)(Solver, Vectors, int econ, int m, int n, const T* a, int lda,
                                  const Real* s, const T* u, int ldu, const T* v, int ldv,
                                  int* lwork, gesvdjInfo_t);
  cusolverStatus_t (*gesvdj)(Solver, Vectors, int econ, int m, int n, T* a, int lda, Real* s, T* u,
                             int ldu, T* v, int ldv, T* work, int lwork, int* info, gesvdjInfo_t);

  /** Of an installed library. */
  static const MatrixRoutines& instance();
};

/** What a stream keeps of both libraries, and their routines for all element types. */
struct MatrixLibrary {
  cusolverDnHandle_t solver;
  cusolverDnParams_t params;
  gesvdjInfo_t jacobi;
  cublasHandle_t blas;

  decltype(&cusolverDnXpotrf_bufferSize) potrf_size;
  decltype(&cusolverDnXpotrf) potrf;
  decltype(&cusolverDnXsyevd_bufferSize) syevd_size;
  decltype(&cusolverDnXsyevd) syevd;
  decltype(&cusolverDnXsyevBatched_bufferSize) syev_batched_size;
  decltype(&cusolverDnXsyevBatched) syev_batched;
  decltype(&cusolverDnXgeev_bufferSize) geev_size;
  decltype(&cusolverDnXgeev) geev;

  /** Whether both are installed. */
  static bool is_there();
  /** For calls on `s`, made while it is called directly. */
  static const MatrixLibrary& of(const Stream& s);
};

/** Throws std::runtime_error unless it is success. */
void check_matrices(cusolverStatus_t said);
void check_matrices(cublasStatus_t said);

}  // namespace mlx::core::cuda
#endif
