// Products of a single row with quantised weights, as in decoding one token. Weights are the left
// operand of the tensor cores. Of the right one a single row needs no more than a column, so each
// of the eight takes a chunk of x and has zeros elsewhere: the sums of eight chunks come out side
// by side, and all of them meet their scales at once.
#pragma once

#include "mlx/backend/cuda/kernels/quantized_rows.h"

namespace mlx::core::kernels {

/** A chunk is what a lane reads in one access; it lies within a group. */
template <int bits>
struct CodeChunk {
  static constexpr int k = 128 / bits, eights = k / 8;
  uint4 words;

  MLX_FN EightCodes eight(int i) const {
    const uint32_t all[4] = {words.x, words.y, words.z, words.w};
    if constexpr (bits == 8) {
      return {all[2 * i], all[2 * i + 1]};
    } else {
      return {all[i], all[i] >> 16};
    }
  }
};

/** A block makes 16 results. Its warps take units of eight chunks of each row, few of them one
 * each, many in turn. A lane reads rows lane / 4 and lane / 4 + 8, of each half of a unit the chunk
 * number lane % 4. */
template <typename T, typename F, int warps>
struct QuantizedRow {
  using Chunk = CodeChunk<F::bits>;
  static constexpr bool in_turn = warps > quantized_rows_warps;
  static constexpr int rows = 16, unit = 8 * Chunk::k, share = unit / 32;
  static constexpr bool offset = QuantizedRows<T, F, 1, 1>::offset;
  // Of two neighbouring chunks, whose sums a lane gets.
  static constexpr int held = F::group == Chunk::k ? 2 : 1;
  using Scales = Pack<StoredScale<T, F>, held>;
  using Biases = Pack<T, held>;

  /** What a warp reads for one unit. */
  struct Loaded {
    Chunk codes[2][2];                // of each half, of both rows
    EightInputs<T> x[Chunk::eights];  // of the chunk whose column the lane has, if any
    Pack<T, share> own;               // the lane's share of the unit, a quarter of a chunk
    Scales scales[2];
    Biases biases[F::affine ? 2 : 1];
  };

  const QuantizedProducts& p;
  QuantizedTask task;
  int lane, warp, quarter;
  const char* codes_at[2];
  const StoredScale<T, F>* scales_at[2];
  const T *biases_at[2], *x;
  float results[2] = {};

  MLX_FN explicit QuantizedRow(const QuantizedProducts& call)
      : p(call), lane(threadIdx.x % 32), warp(threadIdx.x / 32), quarter(lane % 4) {}

  MLX_FN void find_operands() {
    int64_t row_bytes = p.k * F::bits / 8, groups = p.k / F::group;
    auto* matrix = static_cast<const char*>(p.w) + task.matrix * p.w_batch;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      int64_t row = task.column + r * 8 + lane / 4;
      if (row >= p.n) row = p.n - 1;
      int64_t group = task.matrix * p.scale_batch + row * groups;
      codes_at[r] = matrix + row * row_bytes + quarter * 16;
      scales_at[r] = static_cast<const StoredScale<T, F>*>(p.scales) + group;
      if constexpr (F::affine) biases_at[r] = static_cast<const T*>(p.biases) + group;
    }
    const T* found = find_x<T>(p, row_number(p, task, 0));
    x = found ? found : static_cast<const T*>(p.x);
  }

  MLX_FN void load(Loaded& to, int64_t number) const {
    constexpr int unit_bytes = unit * F::bits / 8;
    int64_t group = (number * 8 + quarter * 2) * Chunk::k / F::group;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      auto* from = reinterpret_cast<const uint4*>(codes_at[r] + number * unit_bytes);
      to.codes[0][r].words = from[0];
      to.codes[1][r].words = from[4];
      to.scales[r] = load_pack<StoredScale<T, F>, held>(scales_at[r], group);
      if constexpr (F::affine) to.biases[r] = load_pack<T, held>(biases_at[r], group);
    }
    const T* from = x + number * unit;
    to.own = load_pack<T, share>(from, lane * share);
#pragma unroll
    for (int i = 0; i < Chunk::eights; i++) {
      to.x[i].load(from + lane / 4 * Chunk::k + i * 8, lane / 4 % 4 == quarter);
    }
  }

  /** Sums of x over the chunks number 2 quarter and the next. */
  MLX_FN void add_inputs(const Pack<T, share>& own, float (&totals)[2]) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < share; i++) sum += computed(own.at[i]);
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
#pragma unroll
    for (int j = 0; j < 2; j++) totals[j] = __shfl_sync(~0u, sum, quarter * 8 + j * 4);
  }

  MLX_FN void add_unit(const Loaded& from) {
    // Of each half; the columns that belong to the other half's chunks are of no meaning.
    float sums[2][4] = {};
#pragma unroll
    for (int e = 0; e < Chunk::eights; e++) {
      uint32_t b[4];
      from.x[e].pairs(b, 0);
#pragma unroll
      for (int h = 0; h < 2; h++) {
        EightCodes own[2] = {from.codes[h][0].eight(e), from.codes[h][1].eight(e)};
#pragma unroll
        for (int i = 0; i < 4; i += 2) {
          uint32_t a[4];
          code_pairs<T, F, offset>(own, i, a);
          multiply_tile<T>(sums[h], a, b[i], b[i + 1]);
        }
      }
    }
    float totals[2] = {};
    if constexpr (F::affine) add_inputs(from.own, totals);
#pragma unroll
    for (int r = 0; r < 2; r++) {
#pragma unroll
      for (int j = 0; j < 2; j++) {
        int i = r * 2 + j, s = j * (held - 1);
        float sum = quarter < 2 ? sums[0][i] : sums[1][i];
        float by = scale_of<T, F>(from.scales[r].at[s]);
        results[r] = __fmaf_rn(by, sum, results[r]);
        if constexpr (F::affine) {
          float add = computed(from.biases[r].at[s]);
          if constexpr (offset) add = __fmaf_rn(-digit_offset, by, add);
          results[r] = __fmaf_rn(add, totals[j], results[r]);
        }
      }
    }
  }

  /** Adds up what lanes and warps have, and writes it. */
  MLX_FN void finish() {
    __shared__ float all[warps][rows];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      results[r] += __shfl_xor_sync(~0u, results[r], 1);
      results[r] += __shfl_xor_sync(~0u, results[r], 2);
      if (quarter == 0) all[warp][r * 8 + lane / 4] = results[r];
    }
    __syncthreads();
    int64_t row = task.column + threadIdx.x;
    if (threadIdx.x >= rows || row >= p.n) return;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < warps; w++) sum += all[w][threadIdx.x];
    store<T>(p.out, row_number(p, task, 0) * p.n + row, rounded<T>(sum * factor_of(p, task)));
  }

  MLX_FN void run(uint32_t block) {
    if (!find_task<1, rows>(p, block, task)) return;
    find_operands();
    int units = static_cast<int>(p.k / unit);
    Loaded now;
    if (warp < units) load(now, warp);
    if constexpr (in_turn) {
#pragma unroll 1
      for (int number = warp + warps; number < units; number += warps) {
        Loaded next;
        load(next, number);
        add_unit(now);
        now = next;
      }
    }
    if (warp < units) add_unit(now);
    finish();
  }
};

/** Blocks ask for the codes of those that follow them, but for their own only if they have time:
 *  lanes will ask for these at once. */
template <typename T, typename F>
MLX_FN void fetch_in_time(const QuantizedRowsCall& p) {
  int64_t block = blockIdx.x, next = block + p.resident;
  if (p.overlaps && block < p.resident) fetch_block<T, F, 1>(p, block);
  if (next < gridDim.x) fetch_block<T, F, 1>(p, next);
}

template <typename T, typename F, int warps>
MLX_FN void quantized_row(const QuantizedRowsCall& p) {
  int part = quantized_part(p, blockIdx.x);
  auto block = static_cast<uint32_t>(blockIdx.x - p.first_block[part]);
  QuantizedRow<T, F, warps>(p.part[part]).run(block);
}

}  // namespace mlx::core::kernels
