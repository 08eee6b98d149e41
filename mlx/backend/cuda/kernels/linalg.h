// What surrounds a library's decompositions: addresses of a batch, triangles, pivots, matrices that
// are not finite, and failures.
#pragma once

#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/kernels/linalg_numbers.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

MLX_FN void list_matrices(const MatrixAddresses& p) {
  int64_t i = thread_number<int64_t>();
  if (i < p.count) p.addresses[i] = p.first + i * p.step;
}

/** May be in place: every element is written where it was read. */
template <typename T>
MLX_FN void take_triangles(const Triangles& p) {
  int64_t i = thread_number<int64_t>(), size = p.rows * p.columns;
  if (i >= p.count * size) return;
  int64_t matrix = i / size, within = i - matrix * size;
  int64_t column = within / p.rows, row = within - column * p.rows;
  bool kept = p.upper ? row <= column : row >= column;
  T value{};
  if (kept) value = static_cast<const T*>(p.from)[matrix * p.step + column * p.stride + row];
  static_cast<T*>(p.to)[i] = value;
}

/** A block for each matrix. */
template <typename T>
MLX_FN void find_zeros(const Diagonals& p) {
  __shared__ int32_t first;
  const T* matrix = static_cast<const T*>(p.from) + blockIdx.x * p.step;
  if (threadIdx.x == 0) first = static_cast<int32_t>(p.n);
  __syncthreads();
  for (int64_t j = threadIdx.x; j < p.n; j += blockDim.x) {
    if (is_zero(matrix[j * p.along])) atomicMin(&first, static_cast<int32_t>(j));
  }
  __syncthreads();
  if (threadIdx.x == 0) p.infos[blockIdx.x] = first < p.n ? first + 1 : 0;
}

/** A block for each matrix, whose first thread goes through the exchanges. */
MLX_FN void order_rows(const Exchanges& p) {
  constexpr int64_t near = 8192;
  __shared__ uint32_t kept[near];
  uint32_t *out = p.order + blockIdx.x * p.rows, *order = p.rows <= near ? kept : out;
  for (int64_t j = threadIdx.x; j < p.rows; j += blockDim.x) order[j] = static_cast<uint32_t>(j);
  __syncthreads();
  const int32_t* given = p.given + blockIdx.x * p.exchanged;
  for (int64_t j = 0; threadIdx.x == 0 && j < p.exchanged; j++) {
    uint32_t with = static_cast<uint32_t>(given[j] - 1), row = order[j];
    p.pivots[blockIdx.x * p.exchanged + j] = with;
    order[j] = order[with];
    order[with] = row;
  }
  __syncthreads();
  for (int64_t j = threadIdx.x; order != out && j < p.rows; j += blockDim.x) out[j] = order[j];
}

template <typename T>
MLX_FN void find_not_finite(const Screening& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count * p.size) return;
  T x = static_cast<const T*>(p.elements)[i];
  bool finite;
  if constexpr (is_complex<T>) {
    finite = is_finite(x.re) && is_finite(x.im);
  } else {
    finite = is_finite(x);
  }
  if (!finite) p.infos[i / p.size] = p.code;
}

template <typename T>
MLX_FN void replace_matrices(const Screening& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count * p.size || p.infos[i / p.size] != p.code) return;
  auto x = p.nan ? float_of(uint32_t{0x7fc00000}) : 0.0f;
  if constexpr (is_complex<T>) {
    static_cast<T*>(p.elements)[i] = {x, x};
  } else {
    static_cast<T*>(p.elements)[i] = x;
  }
}

template <typename T>
MLX_FN void make_identities(const Identities& p) {
  int64_t i = thread_number<int64_t>(), size = p.rows * p.columns;
  if (i >= p.count * size) return;
  int64_t within = i % size;
  static_cast<T*>(p.to)[i] = number<T>(within / p.columns == within % p.columns);
}

MLX_FN void conjugate_numbers(const Conjugates& p) {
  int64_t i = thread_number<int64_t>();
  if (i < p.count) static_cast<Complex*>(p.numbers)[i].im *= -1.0f;
}

template <typename T>
MLX_FN void unpack_vectors(const PackedVectors& p) {
  int64_t i = thread_number<int64_t>(), n = p.n;
  if (i >= n * n) return;
  int64_t column = i / n, row = i - column * n;
  auto* imaginary = static_cast<const T*>(p.values) + n;
  // Of a pair the value with a positive imaginary part comes first.
  int64_t first = imaginary[column] < 0 ? column - 1 : column;
  auto part = [&](int64_t c) {
    return static_cast<float>(static_cast<const T*>(p.vectors)[c * n + row]);
  };
  if (p.out_vectors) {
    float im = imaginary[column] != 0 ? part(first + 1) : 0.0f;
    static_cast<Complex*>(p.out_vectors)[i] = {part(first), first < column ? -im : im};
  }
  if (row == 0) {
    static_cast<Complex*>(p.out_values)[column] = {
        static_cast<float>(static_cast<const T*>(p.values)[column]),
        static_cast<float>(imaginary[column])};
  }
}

#ifdef __CUDACC__
/** One block. */
MLX_FN void report_infos(const MatrixInfos& p) {
  __shared__ unsigned long long first;
  if (threadIdx.x == 0) first = ~0ull;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < p.count; i += blockDim.x) {
    if (p.infos[i] != 0 || (p.others && p.others[i] != 0)) {
      atomicMin(&first, static_cast<unsigned long long>(i));
    }
  }
  __syncthreads();
  if (threadIdx.x == 0 && first != ~0ull) {
    int32_t info = p.others && p.others[first] != 0 ? p.others[first] : p.infos[first];
    report(p.fault, p.op, static_cast<int64_t>(first), info, p.count);
  }
}
#endif

}  // namespace mlx::core::kernels
