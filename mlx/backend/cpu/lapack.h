// LAPACK and the BLAS under it: OpenBLAS, a library of its own beside this one, opened when the
// first matrix needs it. Every call runs in its caller's thread; the threads are this project's.
#pragma once

#include <complex>
#include <cstddef>
#include <type_traits>

namespace mlx::core::cpu {

template <typename T>
struct RealPart {
  using type = T;
};
template <typename T>
struct RealPart<std::complex<T>> {
  using type = T;
};

/** Routines by their LAPACK names for float, double and complex numbers of them. Matrices are
 * column major, arguments go by address, and the lengths of strings come last, as Fortran has it.
 */
template <typename T>
struct Lapack {
  using Real = typename RealPart<T>::type;
  static constexpr bool complex = !std::is_same_v<T, Real>;
  using Char = const char*;
  using Int = const int*;

  void (*gemm)(Char trans_a, Char trans_b, Int m, Int n, Int k, const T* alpha, const T* a, Int lda,
               const T* b, Int ldb, const T* beta, T* c, Int ldc, size_t, size_t);
  void (*trsm)(Char side, Char uplo, Char trans, Char diag, Int m, Int n, const T* alpha,
               const T* a, Int lda, T* b, Int ldb, size_t, size_t, size_t, size_t);
  void (*potrf)(Char uplo, Int n, T* a, Int lda, int* info, size_t);
  void (*getrf)(Int m, Int n, T* a, Int lda, int* pivots, int* info);
  void (*laswp)(Int n, T* a, Int lda, Int first, Int last, const int* pivots, Int step);
  void (*geqrt3)(Int m, Int n, T* a, Int lda, T* t, Int ldt, int* info);
  void (*larfb)(Char side, Char trans, Char direct, Char storev, Int m, Int n, Int k, const T* v,
                Int ldv, const T* t, Int ldt, T* c, Int ldc, T* work, Int ldwork, size_t, size_t,
                size_t, size_t);

  // Those of complex matrices take real workspace as well.
  using Gesdd = std::conditional_t<
      complex,
      void (*)(Char job, Int m, Int n, T* a, Int lda, Real* s, T* u, Int ldu, T* vt, Int ldvt,
               T* work, Int lwork, Real* rwork, int* iwork, int* info, size_t),
      void (*)(Char job, Int m, Int n, T* a, Int lda, Real* s, T* u, Int ldu, T* vt, Int ldvt,
               T* work, Int lwork, int* iwork, int* info, size_t)>;
  using Heevd =
      std::conditional_t<complex,
                         void (*)(Char job, Char uplo, Int n, T* a, Int lda, Real* w, T* work,
                                  Int lwork, Real* rwork, Int lrwork, int* iwork, Int liwork,
                                  int* info, size_t, size_t),
                         void (*)(Char job, Char uplo, Int n, T* a, Int lda, Real* w, T* work,
                                  Int lwork, int* iwork, Int liwork, int* info, size_t, size_t)>;
  using Geev = std::conditional_t<
      complex,
      void (*)(Char left, Char right, Int n, T* a, Int lda, T* w, T* vl, Int ldvl, T* vr, Int ldvr,
               T* work, Int lwork, Real* rwork, int* info, size_t, size_t),
      void (*)(Char left, Char right, Int n, T* a, Int lda, Real* real, Real* imaginary, T* vl,
               Int ldvl, T* vr, Int ldvr, T* work, Int lwork, int* info, size_t, size_t)>;
  // The steps of gesdd and heevd: to a matrix of two or three diagonals, what is done with that
  // (its numbers are real), and back.
  void (*gebrd)(Int m, Int n, T* a, Int lda, Real* d, Real* e, T* tauq, T* taup, T* work, Int lwork,
                int* info);
  void (*bdsdc)(Char uplo, Char job, Int n, Real* d, Real* e, Real* u, Int ldu, Real* vt, Int ldvt,
                Real* q, int* iq, Real* work, int* iwork, int* info, size_t, size_t);
  void (*lasd0)(Int n, Int sqre, Real* d, Real* e, Real* u, Int ldu, Real* vt, Int ldvt, Int smlsiz,
                int* iwork, Real* work, int* info);
  void (*lasd1)(Int nl, Int nr, Int sqre, Real* d, Real* alpha, Real* beta, Real* u, Int ldu,
                Real* vt, Int ldvt, int* idxq, int* iwork, Real* work, int* info);
  void (*hetrd)(Char uplo, Int n, T* a, Int lda, Real* d, Real* e, T* tau, T* work, Int lwork,
                int* info, size_t);
  void (*stedc)(Char job, Int n, Real* d, Real* e, Real* z, Int ldz, Real* work, Int lwork,
                int* iwork, Int liwork, int* info, size_t);
  Gesdd gesdd;
  Heevd heevd;  // syevd where it is real
  Geev geev;

  /** Opens the library at the first call. Throws std::runtime_error where there is none. */
  static const Lapack& instance();
};

}  // namespace mlx::core::cpu
