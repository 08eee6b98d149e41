// Opening cuSOLVER and cuBLAS, and their handles, one of each for a stream.
#include "mlx/backend/cuda/linalg_library.h"

#ifdef MLX_HAS_CUSOLVER

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

/** Both libraries, and the functions that do not depend on the elements. */
struct Files {
  SharedLibrary solver{"libcusolver.so." + std::to_string(CUSOLVER_VER_MAJOR)};
  SharedLibrary blas{"libcublas.so." + std::to_string(CUBLAS_VER_MAJOR)};

  decltype(&cusolverDnCreate) make_solver;
  decltype(&cusolverDnCreateParams) make_params;
  decltype(&cusolverDnCreateGesvdjInfo) make_jacobi;
  decltype(&cusolverDnSetStream) set_solver_stream;
  cublasStatus_t (*make_blas)(cublasHandle_t*);
  cublasStatus_t (*set_blas_stream)(cublasHandle_t, cudaStream_t);
  MatrixLibrary library{};

  Files() {
    solver.find(make_solver, "cusolverDnCreate");
    solver.find(make_params, "cusolverDnCreateParams");
    solver.find(make_jacobi, "cusolverDnCreateGesvdjInfo");
    solver.find(set_solver_stream, "cusolverDnSetStream");
    solver.find(library.potrf_size, "cusolverDnXpotrf_bufferSize");
    solver.find(library.potrf, "cusolverDnXpotrf");
    solver.find(library.syevd_size, "cusolverDnXsyevd_bufferSize");
    solver.find(library.syevd, "cusolverDnXsyevd");
    solver.find(library.syev_batched_size, "cusolverDnXsyevBatched_bufferSize");
    solver.find(library.syev_batched, "cusolverDnXsyevBatched");
    solver.find(library.geev_size, "cusolverDnXgeev_bufferSize");
    solver.find(library.geev, "cusolverDnXgeev");
    blas.find(make_blas, "cublasCreate_v2");
    blas.find(set_blas_stream, "cublasSetStream_v2");
  }

  static Files& instance() {
    static auto* files = new Files;
    return *files;
  }
};

template <typename T>
constexpr const char* letter() {
  return std::is_same_v<T, float> ? "S" : std::is_same_v<T, double> ? "D" : "C";
}

template <typename T>
MatrixRoutines<T> find_routines() {
  MatrixRoutines<T> r{};
  SharedLibrary &solver = Files::instance().solver, &blas = Files::instance().blas;
  auto from_solver = [&](auto& routine, const char* name) {
    solver.find(routine, (std::string("cusolverDn") + letter<T>() + name).c_str());
  };
  auto from_blas = [&](auto& routine, const char* name) {
    blas.find(routine, (std::string("cublas") + letter<T>() + name).c_str());
  };
  constexpr bool complex = std::is_same_v<T, cuComplex>;
  from_solver(r.potrf_batched, "potrfBatched");
  from_solver(r.getrf_size, "getrf_bufferSize");
  from_solver(r.getrf, "getrf");
  from_solver(r.getrs, "getrs");
  from_blas(r.getrf_batched, "getrfBatched");
  from_blas(r.getrs_batched, "getrsBatched");
  from_blas(r.getri_batched, "getriBatched");
  from_blas(r.trsm, "trsm_v2");
  from_blas(r.trsm_batched, "trsmBatched");
  from_solver(r.geqrf_size, "geqrf_bufferSize");
  from_solver(r.geqrf, "geqrf");
  from_solver(r.orgqr_size, complex ? "ungqr_bufferSize" : "orgqr_bufferSize");
  from_solver(r.orgqr, complex ? "ungqr" : "orgqr");
  from_solver(r.gesvdj_size, "gesvdj_bufferSize");
  from_solver(r.gesvdj, "gesvdj");
  return r;
}

MatrixLibrary make_library(cudaStream_t stream) {
  const Files& files = Files::instance();
  MatrixLibrary library = files.library;
  check_matrices(files.make_solver(&library.solver));
  check_matrices(files.make_params(&library.params));
  check_matrices(files.make_jacobi(&library.jacobi));
  check_matrices(files.make_blas(&library.blas));
  check_matrices(files.set_solver_stream(library.solver, stream));
  check_matrices(files.set_blas_stream(library.blas, stream));
  return library;
}

}  // namespace

template <typename T>
const MatrixRoutines<T>& MatrixRoutines<T>::instance() {
  static const MatrixRoutines found = find_routines<T>();
  return found;
}

template struct MatrixRoutines<float>;
template struct MatrixRoutines<double>;
template struct MatrixRoutines<cuComplex>;

bool MatrixLibrary::is_there() {
  static const bool found = [] {
    MatrixRoutines<float>::instance();
    MatrixRoutines<double>::instance();
    MatrixRoutines<cuComplex>::instance();
    return Files::instance().solver.complete() && Files::instance().blas.complete();
  }();
  return found;
}

const MatrixLibrary& MatrixLibrary::of(const Stream& s) {
  static auto* mutex = new std::mutex;
  static auto* libraries = new std::map<Stream, MatrixLibrary>;
  std::lock_guard lock(*mutex);
  auto known = libraries->find(s);
  if (known == libraries->end()) {
    MatrixLibrary made{};
    call_directly(s, [&](cudaStream_t stream) { made = make_library(stream); });
    known = libraries->emplace(s, made).first;
  }
  return known->second;
}

void check_matrices(cusolverStatus_t said) {
  cusolverStatus_t status = or_fault(said, CUSOLVER_STATUS_INTERNAL_ERROR);
  if (status != CUSOLVER_STATUS_SUCCESS) {
    throw std::runtime_error(error_message(OpScope::current(), "cuSOLVER failed with status ",
                                           static_cast<int>(status), "."));
  }
}

void check_matrices(cublasStatus_t said) {
  cublasStatus_t status = or_fault(said, CUBLAS_STATUS_INTERNAL_ERROR);
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(error_message(OpScope::current(), "cuBLAS failed with status ",
                                           static_cast<int>(status), "."));
  }
}

}  // namespace mlx::core::cuda
#endif
