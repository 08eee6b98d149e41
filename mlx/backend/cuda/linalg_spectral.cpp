// Eigenvalues and their vectors on the GPU. Matrices with elements that are not
// finite are found first and replaced: the library's iterations might not end with them.
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/linalg.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t smallest_eig = 256;  // below, the host is faster

template <typename T>
void diagonalize_all(array& a, array& w, cublasFillMode_t fill, bool vectors, const Infos& infos,
                     const Stream& s) {
  using Real = typename MatrixRoutines<T>::Real;
  auto job = vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
  constexpr auto type = data_type<T>(), real = data_type<Real>();
  int64_t n = a.shape(-1), count = matrix_count(a);
  T* matrices = elements<T>(a);
  Real* values = static_cast<Real*>(output_address(w));
  size_t device = 0, host = 0;
  if (is_batch(count, n)) {
    call_library(s, [&](const MatrixLibrary& library) {
      check_matrices(library.syev_batched_size(library.solver, library.params, job, fill, n, type,
                                               matrices, n, real, values, type, &device, &host,
                                               count));
    });
    Workspace work(device, host, s);
    call_library(s, [&](const MatrixLibrary& library) {
      check_matrices(library.syev_batched(library.solver, library.params, job, fill, n, type,
                                          matrices, n, real, values, type, work.device(), device,
                                          work.host(), host, infos.get(), count));
    });
    return;
  }
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(library.syevd_size(library.solver, library.params, job, fill, n, type, matrices,
                                      n, real, values, type, &device, &host));
  });
  Workspace work(device, host, s);
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < count; i++) {
      check_matrices(library.syevd(library.solver, library.params, job, fill, n, type,
                                   matrices + i * n * n, n, real, values + i * n, type,
                                   work.device(), device, work.host(), host, infos.get() + i));
    }
  });
}

void eval_eigh(Eigh& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  if (!MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  // Row-major memory holds A^T, which is A with its triangles exchanged; conjugated, if complex.
  bool complex = inputs[0].dtype() == complex64;
  array a = complex ? columns_copy(inputs[0], s) : rows_copy(inputs[0], s);
  allocate_output(outputs[0], s);
  if (a.size() > 0) {
    int64_t count = matrix_count(a);
    Infos found(count, s), infos(count, s);
    screen(a, found, s);
    auto fill = primitive.upper() == complex ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER;
    with_matrix_type(a.dtype(), [&](auto t) {
      diagonalize_all<decltype(t)>(a, outputs[0], fill, primitive.vectors(), infos, s);
    });
    infos.report(kernels::FaultOp::eigh, outputs);
    spoil(a, count, found, s);
    spoil(outputs[0], count, found, s);
  }
  if (primitive.vectors()) {
    share_view(a, outputs[1], column_major_strides(a.shape()));
  }
}

/** Where a routine leaves the results of one real matrix, packed. */
template <typename T>
struct PackedResults {
  Scratch values, vectors;

  PackedResults(int64_t n, bool with_vectors, const Stream& s)
      : values(static_cast<size_t>(2 * n) * sizeof(T), s),
        vectors(static_cast<size_t>(with_vectors ? n * n : 1) * sizeof(T), s) {}
};

/** The eigenvalues of one matrix, which is lost, and its vectors if `vectors` is not null. */
template <typename T>
void find_eigenvalues(T* matrix, int64_t n, cuComplex* values, cuComplex* vectors, int* info,
                      const Stream& s) {
  constexpr bool complex = std::is_same_v<T, cuComplex>;
  constexpr auto type = data_type<T>();
  auto job = vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
  PackedResults<T> packed(n, vectors != nullptr, s);
  void *w = complex ? values : packed.values.get(), *v = complex ? vectors : packed.vectors.get();
  size_t device = 0, host = 0;
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(library.geev_size(library.solver, library.params, CUSOLVER_EIG_MODE_NOVECTOR,
                                     job, n, type, matrix, n, type, w, type, nullptr, n, type, v, n,
                                     type, &device, &host));
  });
  Workspace work(device, host, s);
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(library.geev(library.solver, library.params, CUSOLVER_EIG_MODE_NOVECTOR, job, n,
                                type, matrix, n, type, w, type, nullptr, n, type, v, n, type,
                                work.device(), device, work.host(), host, info));
  });
  if (!complex) {
    kernels::PackedVectors call{n, w, v, values, vectors};
    Dtype dtype = std::is_same_v<T, float> ? float32 : float64;
    launch(kernel_of(unpack_vectors_call(dtype), s), blocks_for(n * n, 256), 256, s, call);
  }
}

void eval_eig(Eig& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  if (!MatrixLibrary::is_there() || inputs[0].shape(-1) < smallest_eig) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  array a = columns_copy(inputs[0], s);
  int64_t n = a.shape(-1), count = matrix_count(a);
  allocate_output(outputs[0], s);
  if (primitive.vectors()) {
    allocate_columns(outputs[1], s);
  }
  if (a.size() == 0) {
    return;
  }
  Infos found(count, s), infos(count, s);
  screen(a, found, s);
  with_matrix_type(a.dtype(), [&](auto t) {
    using T = decltype(t);
    auto* vectors = primitive.vectors() ? elements<cuComplex>(outputs[1]) : nullptr;
    for (int64_t i = 0; i < count; i++) {
      find_eigenvalues<T>(elements<T>(a) + i * n * n, n, elements<cuComplex>(outputs[0]) + i * n,
                          vectors ? vectors + i * n * n : nullptr, infos.get() + i, s);
    }
  });
  infos.report(kernels::FaultOp::eig, outputs, &found);
}

const Register<Eigh> eigh(host_if_wide<Eigh, eval_eigh>);
const Register<Eig> eig(host_if_wide<Eig, eval_eig>);

}  // namespace

}  // namespace mlx::core::cuda
