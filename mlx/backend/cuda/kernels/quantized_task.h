// What a block of a product with quantised weights works on: a few rows of x, and the matrix that
// they meet. Rows are numbered through all products.
#pragma once

#include "mlx/backend/cuda/kernels/async_copies.h"
#include "mlx/backend/cuda/kernels/quantized_call.h"
#include "mlx/backend/cuda/kernels/quantized_codes.h"

namespace mlx::core::kernels {

/** Rows `first` .. `first + count - 1`, by `order` if there is one, and a matrix's rows from
 *  `column` on. */
struct QuantizedTask {
  int64_t matrix, first, column;
  int count;
};

/** The matrix that product i picks; -1, after a report, if there is none. */
MLX_FN int64_t picked(const int64_t* picks, int64_t i, int64_t count, Fault* fault) {
  if (!picks) return i;
  int64_t given = picks[i];
  int64_t pick = given < 0 ? given + count : given;
  if (pick >= 0 && pick < count) return pick;
  report(fault, FaultOp::gather_qmm, given, 0, count);
  return -1;
}

/** False if the block has nothing to do. */
template <int most_rows, int columns>
MLX_FN bool find_task(const QuantizedProducts& p, QuantizedTask& task) {
  uint32_t across = static_cast<uint32_t>((p.n + columns - 1) / columns);
  uint32_t tile = blockIdx.x / across;
  task.column = int64_t{blockIdx.x % across} * columns;
  if (p.tiles) {
    RowTile found = p.tiles[tile];
    task.matrix = found.matrix;
    task.first = found.first;
    task.count = found.count;
    return found.count > 0;
  }
  uint32_t down = static_cast<uint32_t>((p.rows + most_rows - 1) / most_rows);
  int64_t product = tile / down, row = int64_t{tile % down} * most_rows;
  task.matrix = p.w_batch ? picked(p.picks.w, product, p.picks.w_count, p.picks.fault) : 0;
  task.first = product * p.rows + row;
  task.count = p.rows - row < most_rows ? static_cast<int>(p.rows - row) : most_rows;
  return task.matrix >= 0;
}

/** The number of the task's row i. */
MLX_FN int64_t row_number(const QuantizedProducts& p, const QuantizedTask& task, int i) {
  return p.order ? p.order[task.first + i] : task.first + i;
}

/** Row number `row` of x; null, after a report, if what is picked does not exist. */
template <typename T>
MLX_FN const T* find_x(const QuantizedProducts& p, int64_t row) {
  int64_t product = p.rows == 1 ? row : row / p.rows;
  int64_t batch = picked(p.picks.x, product, p.picks.x_count, p.picks.fault);
  if (batch < 0) return nullptr;
  return static_cast<const T*>(p.x) + batch * p.x_batch + (row - product * p.rows) * p.x_row;
}

MLX_FN float factor_of(const QuantizedProducts& p, const QuantizedTask& task) {
  return p.global_scale ? global_factor(p.global_scale[task.matrix * p.global_batch]) : 1.0f;
}

/** Copies row after row of `bytes` from `offset` on to shared memory, zeros past the ends of the
 *  rows, by `threads` that are a block or a warp. Rows from `limit` on repeat the last. */
template <int rows, int bytes, int pitch, int threads>
MLX_FN void copy_packed(uint32_t to, const char* matrix, int64_t row_bytes, int64_t first,
                        int64_t limit, int64_t offset) {
  auto copy_pieces = [&](auto piece_type, auto copy) {
    constexpr int piece = sizeof(piece_type), across = bytes / piece;
#pragma unroll 8
    for (int i = threadIdx.x % threads; i < rows * across; i += threads) {
      int row = i / across, at = i % across * piece;
      int64_t from = first + row < limit ? first + row : limit - 1;
      bool present = offset + at < row_bytes;
      copy(to + row * pitch + at, matrix + from * row_bytes + (present ? offset + at : 0), present);
    }
  };
  if (bytes % 16 == 0 && (row_bytes | reinterpret_cast<uint64_t>(matrix)) % 16 == 0) {
    copy_pieces(uint4{}, [](uint32_t a, const void* b, bool c) { copy_async(a, b, c); });
  } else {
    copy_pieces(uint32_t{}, [](uint32_t a, const void* b, bool c) { copy_word_async(a, b, c); });
  }
}

}  // namespace mlx::core::kernels
