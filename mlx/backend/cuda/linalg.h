// What the decompositions on the GPU share: matrices in the layouts that the libraries want, their
// batches, failures that say which matrix of a batch, and the kernels around the libraries' calls.
#pragma once

#include <algorithm>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/host.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/backend/cuda/linalg_library.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

/** Calls f with a number of the libraries' type of float32, float64 or complex64. */
template <typename F>
void with_matrix_type(Dtype dtype, F&& f) {
  with_number<cuComplex, cuComplex>(dtype, std::forward<F>(f));
}

template <typename T>
constexpr cudaDataType data_type() {
  return std::is_same_v<T, float>    ? CUDA_R_32F
         : std::is_same_v<T, double> ? CUDA_R_64F
                                     : CUDA_C_32F;
}

/** Memory for one routine on the device and on the host, of the sizes that it asks for. */
class Workspace {
 public:
  Workspace(size_t device_bytes, size_t host_bytes, const Stream& s)
      : host_(host_bytes), device_(std::max<size_t>(device_bytes, 1), s) {}

  void* device() const { return device_.get(); }
  void* host() { return host_.data(); }

 private:
  std::vector<char> host_;
  Scratch device_;
};

/** f(library), which asks it for sizes or queues work on `s`: it may do both while nothing is being
 *  recorded only. It must not allocate device memory. */
template <typename F>
void call_library(const Stream& s, F&& f) {
  const MatrixLibrary& library = MatrixLibrary::of(s);
  call_directly(s, [&](cudaStream_t) { f(library); });
}

template <typename T>
T* elements(array& a) {
  return static_cast<T*>(output_address(a));
}

/** Memory in which every matrix is column major. */
void allocate_columns(array& out, const Stream& s);

/** An array to work in with the elements of `a`, column major or row contiguous: its own memory
 *  where nobody else needs that, else a copy. */
array columns_copy(const array& a, const Stream& s);
array rows_copy(const array& a, const Stream& s);

/** The array itself if one stride leads from matrix to matrix, else a row-contiguous copy. */
array with_plain_batch(const array& a, const Stream& s);
/** That stride. */
int64_t matrix_step(const array& a);

/** Fills matrices of `out`, which has memory, with ones on the diagonal. */
void fill_identity(array& out, const Stream& s);

/** Copies one triangle of column-major matrices into those of `out`; may be in place. */
void take_triangles(const array& from, array& out, bool upper, const Stream& s);

/** Info codes of a batch in device memory, at first zero: success. */
class Infos {
 public:
  Infos(int64_t count, const Stream& s);
  int* get() const { return static_cast<int*>(memory_.get()); }

  /** Makes the first code that is not zero, here or in `others`, a failure of the outputs. */
  void report(kernels::FaultOp op, const std::vector<array>& outputs,
              const Infos* others = nullptr) const;

 private:
  int64_t count_;
  Stream stream_;
  Scratch memory_;
};

/** Finds the matrices that have elements which are not finite, and makes them zero. */
void screen(array& matrices, const Infos& infos, const Stream& s);
/** Fills what was made of those with NaN: `out`, dense, has a part for each of `count` matrices. */
void spoil(array& out, int64_t count, const Infos& infos, const Stream& s);

/** Device memory with the addresses of matrices that are `step` elements apart. */
template <typename T>
class Addresses {
 public:
  Addresses(const T* first, int64_t step, int64_t count, const Stream& s);
  T** get() const { return static_cast<T**>(memory_.get()); }

 private:
  Scratch memory_;
};

/** Whether matrices of this size go to a routine for batches, or one after the other. */
inline bool is_batch(int64_t count, int64_t n) { return count > 1 && n <= 512; }

// The kernels.
KernelCall list_matrices_call();
KernelCall take_triangles_call(Dtype dtype);
KernelCall find_zeros_call(Dtype dtype);
KernelCall order_rows_call();
KernelCall find_not_finite_call(Dtype dtype);
KernelCall replace_matrices_call(Dtype dtype);
KernelCall make_identities_call(Dtype dtype);
KernelCall conjugate_numbers_call();
KernelCall unpack_vectors_call(Dtype dtype);
KernelCall report_infos_call();

/** Those that decompose matrices of at most `largest_small` rows and columns themselves. */
int largest_small(Dtype dtype);
inline constexpr int small_threads = 512;
KernelCall factor_small_call(Dtype dtype, int64_t largest);
KernelCall factor_small_qr_call(Dtype dtype, int64_t largest);
KernelCall factor_small_svd_call(Dtype dtype);
KernelCall solve_small_call(Dtype dtype, int64_t n, int64_t columns);

}  // namespace mlx::core::cuda
