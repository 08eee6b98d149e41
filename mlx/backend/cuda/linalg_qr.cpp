// QR on the GPU by Householder's reflections: small matrices in kernels of our own, a block for
// each, the others one after the other in those of the library.
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/linalg.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cuda {

namespace {

/** One matrix after the other: reflections, R out of them, and Q over them. */
template <typename T>
class Reflections {
 public:
  Reflections(array& a, const Stream& s)
      : routines_(MatrixRoutines<T>::instance()),
        m_(a.shape(-2)),
        n_(a.shape(-1)),
        k_(std::min(m_, n_)),
        count_(matrix_count(a)),
        matrices_(elements<T>(a)),
        stream_(s),
        factors_(static_cast<size_t>(count_ * k_) * sizeof(T), s),
        unused_(1, s) {}

  void factor() {
    int lwork = 0;
    call_library(stream_, [&](const MatrixLibrary& library) {
      check_matrices(routines_.geqrf_size(library.solver, m_, n_, matrices_, m_, &lwork));
    });
    each(lwork, [&](cusolverDnHandle_t solver, T* matrix, T* factors, T* work) {
      return routines_.geqrf(solver, m_, n_, matrix, m_, factors, work, lwork, unused_.get());
    });
  }

  void form() {
    int lwork = 0;
    call_library(stream_, [&](const MatrixLibrary& library) {
      check_matrices(routines_.orgqr_size(library.solver, m_, k_, k_, matrices_, m_,
                                          static_cast<T*>(factors_.get()), &lwork));
    });
    each(lwork, [&](cusolverDnHandle_t solver, T* matrix, T* factors, T* work) {
      return routines_.orgqr(solver, m_, k_, k_, matrix, m_, factors, work, lwork, unused_.get());
    });
  }

 private:
  template <typename F>
  void each(int lwork, F&& f) {
    Scratch work(static_cast<size_t>(lwork) * sizeof(T), stream_);
    call_library(stream_, [&](const MatrixLibrary& library) {
      for (int64_t i = 0; i < count_; i++) {
        check_matrices(f(library.solver, matrices_ + i * m_ * n_,
                         static_cast<T*>(factors_.get()) + i * k_, static_cast<T*>(work.get())));
      }
    });
  }

  const MatrixRoutines<T>& routines_;
  int m_, n_, k_;
  int64_t count_;
  T* matrices_;
  Stream stream_;
  Scratch factors_;
  Infos unused_;
};

void factor_large(const array& in, array& q, array& r, const Stream& s) {
  array a = columns_copy(in, s);
  allocate_columns(r, s);
  with_matrix_type(a.dtype(), [&](auto t) {
    Reflections<decltype(t)> reflections(a, s);
    reflections.factor();
    take_triangles(a, r, true, s);
    reflections.form();
  });
  share_view(a, q, column_major_strides(a.shape()));  // the first columns, if not all
}

void factor_small(const array& in, array& q, array& r, const Stream& s) {
  array a = with_plain_batch(in, s);
  kernels::SmallQR call{a.shape(-2),    a.shape(-1),         a.strides(-2),     a.strides(-1),
                        matrix_step(a), input_address(a, s), output_address(q), output_address(r)};
  launch(kernel_of(factor_small_qr_call(a.dtype(), std::max(a.shape(-2), a.shape(-1))), s),
         blocks_for(matrix_count(a), 1), small_threads, s, call);
}

void eval_qr(QR& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const array& a = inputs[0];
  bool small = std::max(a.shape(-2), a.shape(-1)) <= largest_small(a.dtype());
  if (a.size() > 0 && !small) {
    if (MatrixLibrary::is_there()) {
      factor_large(a, outputs[0], outputs[1], s);
    } else {
      eval_on_host(primitive, inputs, outputs);
    }
    return;
  }
  allocate_columns(outputs[0], s);
  allocate_columns(outputs[1], s);
  if (a.size() > 0) {
    factor_small(a, outputs[0], outputs[1], s);
  }
}

const Register<QR> qr(host_if_wide<QR, eval_qr>);

}  // namespace

}  // namespace mlx::core::cuda
