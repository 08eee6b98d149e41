// Products of few rows with a matrix whose rows lie in memory as they are read, as the weights of
// linear layers do: bound by reading the matrix, once. As many blocks run as fit, and a warp goes
// from row to row.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"
#include "mlx/backend/cuda/kernels/vector_product_call.h"

namespace mlx::core::kernels {

constexpr int vector_product_threads = 256;

/** Adds x w over one pack of neighbours, in float. */
template <typename T, int width, typename Pack>
MLX_FN float add_pack(float sum, const Pack& x, const Pack& w) {
#pragma unroll
  for (int j = 0; j < width; j++) {
    sum = __fmaf_rn(computed(x.at[j]), computed(w.at[j]), sum);
  }
  return sum;
}

/** The matrix that group number `group` of rows lies in. */
MLX_FN const VectorProductPart& part_of_group(const VectorProductCall& p, int group) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < most_vector_parts; i++) {
    part += i < p.parts && group >= p.part[i].first_group;
  }
  return p.part[part];
}

/** Sixteen bytes of which the first cache keeps nothing, read here and no later. */
MLX_FN uint4 load_once(const void* from) {
  uint4 words;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "l"(from));
  return words;
}

/** What a warp does: sums of `m` rows of x with groups of `rows` rows of w, one group after the
 *  other in turns, of which a lane takes every 32nd piece of 16 bytes. Pieces that do not lie in
 *  front of k are zeros. */
template <typename T, int m, int rows>
struct VectorSums {
  // Of each row of w; what is on its way at a time keeps memory busy although few warps run.
  static constexpr int width = 16 / sizeof(T), depth = 8 / rows, step = 32 * width;
  static constexpr int turn = depth * step, warps = vector_product_threads / 32;
  using Piece = Pack<T, width>;

  const VectorProductCall& p;
  int k, lane, group, next, first;  // the first number of the lane in this turn
  const T *x, *w[rows];
  uint4 held[depth][rows];
  float sums[m][rows] = {};

  MLX_FN explicit VectorSums(const VectorProductCall& call)
      : p(call), k(static_cast<int>(call.k)), lane(threadIdx.x % 32) {
    go_to(static_cast<int>(threadIdx.x / 32 * gridDim.x + blockIdx.x));
  }

  /** The row of w that is number r of a group; the last one where there are no more. */
  MLX_FN static const T* row_of(const VectorProductCall& p, int group, int r) {
    const VectorProductPart& own = part_of_group(p, group);
    int64_t row = int64_t{group - static_cast<int>(own.first_group)} * rows + r;
    return static_cast<const T*>(own.w) + (row < own.n ? row : own.n - 1) * own.w_stride;
  }

  MLX_FN void go_to(int to) {
    group = to;
    next = to + static_cast<int>(gridDim.x) * warps;
    first = lane * width;
    if (group >= p.groups) return;
#pragma unroll
    for (int r = 0; r < rows; r++) w[r] = row_of(p, group, r);
  }

  /** Has the pieces of w for this turn come. */
  MLX_FN void load() {
    bool present = group < p.groups;
#pragma unroll
    for (int d = 0; d < depth; d++) {
      int at = first + d * step;
#pragma unroll
      for (int r = 0; r < rows; r++) {
        held[d][r] = {0, 0, 0, 0};
        if (present && at < k) held[d][r] = load_once(w[r] + at);
      }
    }
  }

  /** Adds up the products of what has come. */
  MLX_FN void add() {
#pragma unroll
    for (int i = 0; i < m; i++) {
#pragma unroll
      for (int d = 0; d < depth; d++) {
        int at = first + d * step;
        Piece from_x{};
        if (at < k) from_x = load_pack<T, width>(x + i * p.x_stride, at);
#pragma unroll
        for (int r = 0; r < rows; r++) {
          sums[i][r] =
              add_pack<T, width>(sums[i][r], from_x, __builtin_bit_cast(Piece, held[d][r]));
        }
      }
    }
  }

  /** Writes the sums of a group that is done and starts anew. */
  MLX_FN void put(int done) {
    const VectorProductPart& own = part_of_group(p, done);
#pragma unroll
    for (int i = 0; i < m; i++) {
#pragma unroll
      for (int r = 0; r < rows; r++) {
        float sum = sums[i][r];
        sums[i][r] = 0;
#pragma unroll
        for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
        int64_t row = int64_t{done - static_cast<int>(own.first_group)} * rows + r;
        if (lane != 0 || row >= own.n) continue;
        float y = p.alpha * sum;
        if (own.bias) y += computed(static_cast<const T*>(own.bias)[row]);
        if (p.rectified && y < 0) y = 0;
        static_cast<T*>(own.out)[i * own.n + row] = rounded<T>(y);
      }
    }
  }

  MLX_FN void run() {
#pragma unroll 1
    while (group < p.groups) {
      add();
      int done = group;
      first += turn;
      bool ends = first - lane * width >= k;
      if (ends) go_to(next);
      load();  // while the sums of the group are added up
      if (ends) put(done);
    }
  }
};

/** Rows that a kernel reads where they lie. */
struct StoredRows {
  MLX_FN const void* operator()(const void* x) const { return x; }
};

/** `m` rows of x; each warp takes groups of `rows` rows of w. Addresses and strides are multiples
 * of 16 bytes. Matrices that no work under way writes are on their way while earlier kernels run.
 */
template <typename T, int m, int rows, typename Source = StoredRows>
MLX_FN void vector_product(const VectorProductCall& p, const Source& source = {}) {
  VectorSums<T, m, rows> all(p);
  if (p.settled) all.load();
  await_earlier();
  if (!p.settled) all.load();
  all.x = static_cast<const T*>(source(p.x));
  all.run();
}

}  // namespace mlx::core::kernels
