// Layouts, batches and failures of the decompositions on the GPU.
#include "mlx/backend/cuda/linalg.h"

#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr unsigned threads = 256;

/** The view of `a` with rows and columns exchanged. */
array transposed(const array& a) {
  Shape shape = a.shape();
  Strides strides = a.strides();
  size_t n = shape.size();
  std::swap(shape[n - 1], shape[n - 2]);
  std::swap(strides[n - 1], strides[n - 2]);
  array view(shape, a.dtype(), nullptr, {});
  share_view(a, view, strides);
  return view;
}

/** Kernels are made for tiles of 32, 64 and 128 rows: how many times 32 cover `n`. */
int64_t tile_class(int64_t n) { return n <= 32 ? 1 : n <= 64 ? 2 : 4; }

}  // namespace

void allocate_columns(array& out, const Stream& s) {
  Shape shape = out.shape();
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  array rows(shape, out.dtype(), nullptr, {});
  allocate_output(rows, s);
  share_view(rows, out, column_major_strides(out.shape()));
}

array columns_copy(const array& a, const Stream& s) {
  array rows(transposed(a).shape(), a.dtype(), nullptr, {});
  copy(transposed(a), rows, s);
  array out(a.shape(), a.dtype(), nullptr, {});
  share_view(rows, out, column_major_strides(a.shape()));
  return out;
}

array rows_copy(const array& a, const Stream& s) {
  array out(a.shape(), a.dtype(), nullptr, {});
  if (a.flags().row_contiguous) {
    take_over(a, out, s);
  } else {
    copy(a, out, s);
  }
  return out;
}

array with_plain_batch(const array& a, const Stream& s) {
  Shape batch(a.shape().begin(), a.shape().end() - 2);
  Strides strides(a.strides().begin(), a.strides().end() - 2);
  return collapse_dims(batch, {strides}).shape.size() > 1 ? contiguous(a, s) : a;
}

int64_t matrix_step(const array& a) {
  Shape batch(a.shape().begin(), a.shape().end() - 2);
  Strides strides(a.strides().begin(), a.strides().end() - 2);
  return collapse_dims(batch, {strides}).strides[0].back();
}

void fill_identity(array& out, const Stream& s) {
  kernels::Identities call{matrix_count(out), out.shape(-2), out.shape(-1), output_address(out)};
  launch(kernel_of(make_identities_call(out.dtype()), s),
         blocks_for(static_cast<int64_t>(out.size()), threads), threads, s, call);
}

void take_triangles(const array& from, array& out, bool upper, const Stream& s) {
  int64_t stride = from.shape(-2), step = stride * from.shape(-1);
  kernels::Triangles call{
      matrix_count(out),      out.shape(-2),      out.shape(-1), stride, step, upper,
      input_address(from, s), output_address(out)};
  launch(kernel_of(take_triangles_call(out.dtype()), s),
         blocks_for(static_cast<int64_t>(out.size()), threads), threads, s, call);
}

Infos::Infos(int64_t count, const Stream& s)
    : count_(count), stream_(s), memory_(static_cast<size_t>(count) * sizeof(int), s) {
  clear(memory_.get(), static_cast<size_t>(count) * sizeof(int), s);
}

void Infos::report(kernels::FaultOp op, const std::vector<array>& outputs,
                   const Infos* others) const {
  kernels::MatrixInfos call{
      count_, op, 0, get(), others ? others->get() : nullptr, open_report(outputs, stream_)};
  launch(kernel_of(report_infos_call(), stream_), 1, threads, stream_, call);
}

void screen(array& matrices, const Infos& infos, const Stream& s) {
  int64_t count = matrix_count(matrices), all = static_cast<int64_t>(matrices.size());
  kernels::Screening call{count,      all / count, not_finite, false, output_address(matrices),
                          infos.get()};
  for (auto& kernel :
       {find_not_finite_call(matrices.dtype()), replace_matrices_call(matrices.dtype())}) {
    launch(kernel_of(kernel, s), blocks_for(all, threads), threads, s, call);
  }
}

void spoil(array& out, int64_t count, const Infos& infos, const Stream& s) {
  auto all = static_cast<int64_t>(out.size());
  kernels::Screening call{count, all / count, not_finite, true, output_address(out), infos.get()};
  launch(kernel_of(replace_matrices_call(out.dtype()), s), blocks_for(all, threads), threads, s,
         call);
}

template <typename T>
Addresses<T>::Addresses(const T* first, int64_t step, int64_t count, const Stream& s)
    : memory_(static_cast<size_t>(count) * sizeof(T*), s) {
  kernels::MatrixAddresses call{count, step * static_cast<int64_t>(sizeof(T)),
                                reinterpret_cast<const char*>(first),
                                static_cast<const char**>(memory_.get())};
  launch(kernel_of(list_matrices_call(), s), blocks_for(count, threads), threads, s, call);
}

template class Addresses<float>;
template class Addresses<double>;
template class Addresses<cuComplex>;

namespace {

KernelCall typed_call(const char* parameters, const char* function, Dtype dtype) {
  return {"linalg.h", parameters, std::string(function) + "<" + type_name(dtype) + ">"};
}

KernelCall small_call(const char* header, const char* parameters, const char* function, Dtype dtype,
                      int64_t side) {
  return {header, parameters,
          std::string(function) + "<" + type_name(dtype) + ", " + std::to_string(side) + ">",
          small_threads};
}

}  // namespace

KernelCall list_matrices_call() { return {"linalg.h", "MatrixAddresses", "list_matrices"}; }
KernelCall order_rows_call() { return {"linalg.h", "Exchanges", "order_rows"}; }
KernelCall conjugate_numbers_call() { return {"linalg.h", "Conjugates", "conjugate_numbers"}; }
KernelCall report_infos_call() { return {"linalg.h", "MatrixInfos", "report_infos"}; }
KernelCall take_triangles_call(Dtype dtype) {
  return typed_call("Triangles", "take_triangles", dtype);
}
KernelCall find_zeros_call(Dtype dtype) { return typed_call("Diagonals", "find_zeros", dtype); }
KernelCall find_not_finite_call(Dtype dtype) {
  return typed_call("Screening", "find_not_finite", dtype);
}
KernelCall replace_matrices_call(Dtype dtype) {
  return typed_call("Screening", "replace_matrices", dtype);
}
KernelCall make_identities_call(Dtype dtype) {
  return typed_call("Identities", "make_identities", dtype);
}
KernelCall unpack_vectors_call(Dtype dtype) {
  return typed_call("PackedVectors", "unpack_vectors", dtype);
}

int largest_small(Dtype dtype) { return dtype.size() == 4 ? 128 : 64; }

KernelCall factor_small_call(Dtype dtype, int64_t largest) {
  return small_call("linalg_small.h", "SmallLU", "factor_small", dtype, tile_class(largest));
}
KernelCall factor_small_qr_call(Dtype dtype, int64_t largest) {
  return small_call("linalg_small_qr.h", "SmallQR", "factor_small_qr", dtype, tile_class(largest));
}
KernelCall factor_small_svd_call(Dtype dtype) {
  return {"linalg_small_svd.h", "SmallSVD",
          std::string("factor_small_svd<") + type_name(dtype) + ">", small_threads};
}
KernelCall solve_small_call(Dtype dtype, int64_t n, int64_t columns) {
  KernelCall call =
      small_call("linalg_small.h", "SmallSystems", "solve_small", dtype, tile_class(n));
  call.function.insert(call.function.size() - 1, ", " + std::to_string(tile_class(columns)));
  return call;
}

}  // namespace mlx::core::cuda
