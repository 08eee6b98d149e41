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

/** Of block number `block`; false if it has nothing to do. */
template <int most_rows, int columns>
MLX_FN bool find_task(const QuantizedProducts& p, uint32_t block, QuantizedTask& task) {
  if (p.products == 1 && p.rows <= most_rows && !p.w_batch) {  // no time for divisions
    task = {0, 0, int64_t{block} * columns, static_cast<int>(p.rows)};
    return true;
  }
  uint32_t across = static_cast<uint32_t>((p.n + columns - 1) / columns);
  uint32_t tile = block / across;
  task.column = int64_t{block % across} * columns;
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

/** Copies so many `bytes` of each of some rows of codes to shared memory, by `threads` that are a
 *  block or a warp: zeros past the ends of the rows, and the last row again from `limit` on. */
template <int rows, int bytes, int pitch, int threads>
class CodeCopy {
 public:
  MLX_FN CodeCopy() = default;
  MLX_FN CodeCopy(const char* matrix, int row_bytes, int64_t first, int64_t limit)
      : matrix_(matrix), first_(first), limit_(limit), row_bytes_(row_bytes) {
    whole_ = bytes % 16 == 0 && (row_bytes | reinterpret_cast<uint64_t>(matrix)) % 16 == 0;
#pragma unroll
    for (int i = 0; i < passes; i++) source_[i] = kept(address(row() + i * step) + column());
  }

  /** From byte `offset` of the rows on. */
  MLX_FN void run(uint32_t to, int offset) const {
    if (whole_) {
      if (row() >= rows || column() >= bytes) return;
      bool present = offset + column() < row_bytes_;
#pragma unroll
      for (int i = 0; i < passes; i++) {
        copy_async(to + (row() + i * step) * pitch + column(), source_[i] + offset, present);
      }
    } else {
      constexpr int words = bytes / 4;
#pragma unroll 1
      for (int i = threadIdx.x % threads; i < rows * words; i += threads) {
        int at = offset + i % words * 4;
        bool present = at < row_bytes_;
        copy_word_async(to + i / words * pitch + i % words * 4,
                        address(i / words) + (present ? at : 0), present);
      }
    }
  }

 private:
  static constexpr int pieces = (bytes + 15) / 16;
  static constexpr int across = pieces > 4 ? 8 : pieces > 2 ? 4 : pieces;  // threads of a row
  static constexpr int step = threads / across, passes = step < rows ? rows / step : 1;
  static_assert(pieces <= 8);

  MLX_FN static int row() { return threadIdx.x % threads / across; }
  MLX_FN static int column() { return threadIdx.x % across * 16; }
  MLX_FN const char* address(int row) const {
    return matrix_ + (first_ + row < limit_ ? first_ + row : limit_ - 1) * row_bytes_;
  }

  const char *matrix_, *source_[passes];
  int64_t first_, limit_;
  int row_bytes_;
  bool whole_;
};

}  // namespace mlx::core::kernels
