// Singular values and vectors on the GPU: matrices that fit into the shared memory of a block by a
// kernel of our own, the others one after the other by the library. Matrices with elements that are
// not finite are found first and replaced: iterations might not end with them.
#include <algorithm>

#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/linalg.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t most_svd_bytes = 96 << 10;  // of shared memory, which every device has for a block

/** The matrix and the turns of its columns. */
size_t svd_bytes(Dtype dtype, int rows, int columns) {
  return static_cast<size_t>(rows + columns) * static_cast<size_t>(columns) * dtype.size();
}

/** Memory for U, S and V, all column major, as the routines fill it. */
template <typename T>
struct SvdResults {
  T* u;
  typename MatrixRoutines<T>::Real* s;
  T* v;
  int64_t u_columns, v_columns;
};

template <typename T>
void decompose_each(array& a, const SvdResults<T>& out, SVD::Vectors vectors, const Infos& infos,
                    const Stream& s) {
  const auto& routines = MatrixRoutines<T>::instance();
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n), lwork = 0;
  int economic = vectors == SVD::Vectors::full ? 0 : 1;
  auto job = vectors == SVD::Vectors::none ? CUSOLVER_EIG_MODE_NOVECTOR : CUSOLVER_EIG_MODE_VECTOR;
  T* matrices = elements<T>(a);
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(routines.gesvdj_size(library.solver, job, economic, m, n, matrices, m, out.s,
                                        out.u, m, out.v, n, &lwork, library.jacobi));
  });
  Scratch work(static_cast<size_t>(std::max(lwork, 1)) * sizeof(T), s);
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < matrix_count(a); i++) {
      check_matrices(routines.gesvdj(library.solver, job, economic, m, n, matrices + i * m * n, m,
                                     out.s + i * k, out.u + i * m * out.u_columns, m,
                                     out.v + i * n * out.v_columns, n, static_cast<T*>(work.get()),
                                     lwork, infos.get() + i, library.jacobi));
    }
  });
}

void conjugate_in_place(array& a, const Stream& s) {
  if (a.dtype() == complex64) {
    auto count = static_cast<int64_t>(a.size());
    kernels::Conjugates call{count, output_address(a)};
    launch(kernel_of(conjugate_numbers_call(), s), blocks_for(count, 256), 256, s, call);
  }
}

array with_extents(const array& a, int rows, int columns) {
  Shape shape = a.shape();
  shape[shape.size() - 2] = rows;
  shape[shape.size() - 1] = columns;
  return array(shape, a.dtype(), nullptr, {});
}

/** Where results go: U column major, and V column by column, which is V^T row by row; values. What
 * is not asked for, or is larger than what is, has memory of its own. */
struct SvdArrays {
  SvdArrays(const array& a, bool all_vectors, array& values, const Stream& s)
      : u(with_extents(a, a.shape(-2), all_vectors ? a.shape(-2) : shorter(a))),
        vt(with_extents(a, all_vectors ? a.shape(-1) : shorter(a), a.shape(-1))),
        values(values) {
    allocate_columns(u, s);
    allocate_output(vt, s);
    allocate_output(values, s);
  }

  static int shorter(const array& a) { return std::min(a.shape(-2), a.shape(-1)); }

  array u, vt;
  array& values;
};

bool fits_block(const array& a) {
  int rows = std::max(a.shape(-2), a.shape(-1)), columns = SvdArrays::shorter(a);
  return rows <= kernels::largest_small_svd &&
         svd_bytes(a.dtype(), rows, columns) <= most_svd_bytes;
}

/** All matrices at once, a block for each. */
void decompose_small(const array& a, SvdArrays& out, bool vectors, const Infos& infos,
                     const Stream& s) {
  int m = a.shape(-2), n = a.shape(-1), rows = std::max(m, n), columns = std::min(m, n);
  void *u = output_address(out.u), *vt = output_address(out.vt);
  int kept = m < n ? out.vt.shape(-2) : out.u.shape(-1);
  kernels::SmallSVD call{m,
                         n,
                         kept,
                         input_address(a, s),
                         output_address(out.values),
                         vectors ? (m < n ? vt : u) : nullptr,
                         vectors ? (m < n ? u : vt) : nullptr,
                         infos.get()};
  int warps = std::clamp((columns + 1) / 2, 1, small_threads / 32);
  size_t bytes = svd_bytes(a.dtype(), rows, columns);
  Kernel kernel = kernel_of(factor_small_svd_call(a.dtype()), s);
  ask_for_shared(kernel, bytes);
  launch(kernel, blocks_for(matrix_count(a), 1), static_cast<unsigned>(32 * warps), s, call, bytes);
}

void decompose_large(array& a, SvdArrays& out, SVD::Vectors vectors, const Infos& infos,
                     const Stream& s) {
  with_matrix_type(a.dtype(), [&](auto t) {
    using T = decltype(t);
    using Real = typename MatrixRoutines<T>::Real;
    SvdResults<T> results{elements<T>(out.u), static_cast<Real*>(output_address(out.values)),
                          elements<T>(out.vt), out.u.shape(-1), out.vt.shape(-2)};
    decompose_each<T>(a, results, vectors, infos, s);
  });
  if (vectors != SVD::Vectors::none) {
    conjugate_in_place(out.vt, s);
  }
}

void decompose(const array& in, SVD::Vectors vectors, std::vector<array>& outputs,
               const Stream& s) {
  array a = columns_copy(in, s);
  int64_t count = matrix_count(a);
  bool alone = vectors == SVD::Vectors::none;
  SvdArrays out(a, vectors == SVD::Vectors::full, outputs[alone ? 0 : 1], s);
  Infos found(count, s), infos(count, s);
  screen(a, found, s);
  if (fits_block(a)) {
    decompose_small(a, out, !alone, infos, s);
  } else {
    decompose_large(a, out, vectors, infos, s);
  }
  infos.report(kernels::FaultOp::svd, outputs, &found);
  if (!alone) {
    share_view(out.u, outputs[0], out.u.strides());
    share_view(out.vt, outputs[2], out.vt.strides());
  }
}

void eval_svd(SVD& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  bool empty = inputs[0].size() == 0;
  if (!empty && !fits_block(inputs[0]) && !MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
  } else if (!empty) {
    decompose(inputs[0], primitive.vectors(), outputs, s);
  } else {
    for (array& out : outputs) {
      allocate_output(out, s);
      if (out.size() > 0) {
        fill_identity(out, s);  // values there are none
      }
    }
  }
}

const Register<SVD> svd(host_if_wide<SVD, eval_svd>);

}  // namespace

}  // namespace mlx::core::cuda
