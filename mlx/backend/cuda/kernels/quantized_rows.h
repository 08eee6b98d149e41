// Products of few rows with quantised weights, as in decoding: bound by reading the weights, once.
// Weights are the left operand of the tensor cores, as the integers or small floats that they are,
// and rows of x the columns of the right one; sums of a group are scaled in float. Each warp copies
// the codes that it reads itself, so warps never wait for each other before they add up.
#pragma once

#include "mlx/backend/cuda/kernels/async_copies.h"
#include "mlx/backend/cuda/kernels/quantized_task.h"
#include "mlx/backend/cuda/kernels/warp_products.h"

namespace mlx::core::kernels {

constexpr int quantized_rows_warps = 8;

/** What a warp takes at a time of each row of codes. */
template <int bits>
struct CodeUnit {
  static constexpr int k = bits <= 4 ? 256 : 128, bytes = k * bits / 8;
  static constexpr int pitch = code_pitch(bits, bytes);
};

/** What another lane holds. */
template <typename T>
MLX_FN T value_from(T value, int lane) {
  if constexpr (sizeof(T) == 4) {
    return float_of(__shfl_sync(~0u, to_bits(value), lane));
  } else if constexpr (sizeof(T) == 2) {
    return {static_cast<uint16_t>(__shfl_sync(~0u, uint32_t{value.bits}, lane))};
  } else {
    return static_cast<T>(__shfl_sync(~0u, uint32_t{value}, lane));
  }
}

/** Eight neighbours of x; a float is the sum of three bfloats. */
template <typename T>
struct EightInputs {
  static constexpr int parts = is_same<T, float> ? 3 : 1;
  static constexpr int words = sizeof(T) / 2;
  uint4 at[words];

  MLX_FN void load(const T* from, bool present) {
#pragma unroll
    for (int i = 0; i < words; i++) {
      at[i] = present ? reinterpret_cast<const uint4*>(from)[i] : uint4{};
    }
  }

  /** Pairs (i, i + 4) as tensor cores take them, of the part number `part`. */
  MLX_FN void pairs(uint32_t (&pair)[4], int part) const {
    if constexpr (parts == 1) {
      pair[0] = lower_halves(at[0].x, at[0].z);
      pair[1] = upper_halves(at[0].x, at[0].z);
      pair[2] = lower_halves(at[0].y, at[0].w);
      pair[3] = upper_halves(at[0].y, at[0].w);
    } else {
      uint4 low = part_of(at[0], part), high = part_of(at[1], part);
      pair[0] = upper_halves(low.x, high.x);
      pair[1] = upper_halves(low.y, high.y);
      pair[2] = upper_halves(low.z, high.z);
      pair[3] = upper_halves(low.w, high.w);
    }
  }

 private:
  /** In the upper half: what is left of x in eight digits after `part` times eight digits. */
  MLX_FN static uint32_t part_of(uint32_t x, int part) {
    uint32_t top = x & 0xffff0000u;
    bool finite = (top & 0x7f800000u) != 0x7f800000u;
    float rest = finite ? float_of(x) - float_of(top) : 0.0f;
    uint32_t next = to_bits(rest) & 0xffff0000u;
    float last = rest - float_of(next);
    return part == 0   ? (is_nan(float_of(x)) ? to_bits(nan_f) : top)
           : part == 1 ? next
                       : to_bits(last);
  }
  MLX_FN static uint4 part_of(uint4 x, int part) {
    return {part_of(x.x, part), part_of(x.y, part), part_of(x.z, part), part_of(x.w, part)};
  }
};

/** A block makes 16 `tiles` results of each of 8 `column_tiles` columns. */
template <typename T, typename F, int tiles, int column_tiles>
struct QuantizedRows {
  using Unit = CodeUnit<F::bits>;
  using Inputs = EightInputs<T>;
  using Factor = choose_type<is_same<T, Half>, Half, BFloat>;  // what tensor cores multiply
  static constexpr int rows = 16 * tiles, columns = 8 * column_tiles, stages = 3;
  static constexpr int most_rows = columns / Inputs::parts;
  static constexpr int steps = Unit::k / 32, steps_at_once = steps < 4 ? steps : 4;
  static constexpr int groups = Unit::k / F::group, held = (groups + 3) / 4;
  // Parts of a step that have groups of their own, and steps of a group.
  static constexpr int shares = F::group < 32 ? 32 / F::group : 1;
  static constexpr int steps_of_group = F::group < 32 ? 1 : F::group / 32;
  // Integers may keep the offset of their digits where T is so coarse that the error, of float sums
  // 128 times as large, is out of sight.
  static constexpr bool offset = F::affine && is_same<T, BFloat> && F::bits <= 4;
  static constexpr int warps = quantized_rows_warps, stage_bytes = rows * Unit::pitch;

  /** Of the groups of a unit, as they lie in memory, for the rows that the lane's sums belong to. A
   *  lane holds each fourth group; the four of a row ask each other. */
  struct Scales {
    StoredScale<T, F> by[2 * tiles][held];
    T add[F::affine ? 2 * tiles : 1][held];
  };

  const QuantizedProducts& p;
  QuantizedTask task;
  char* shared;
  int lane, warp, units, part[column_tiles];
  CodeCopy<rows, Unit::bytes, Unit::pitch, 32> copy;
  const StoredScale<T, F>* scales_at[2 * tiles];
  const T* biases_at[F::affine ? 2 * tiles : 1];
  const T* x[column_tiles];
  float results[tiles][column_tiles][4] = {};
  float sums[shares][tiles][column_tiles][4], totals[shares][column_tiles][4];

  MLX_FN QuantizedRows(const QuantizedProducts& call, char* memory)
      : p(call),
        shared(memory),
        lane(threadIdx.x % 32),
        warp(threadIdx.x / 32),
        units(static_cast<int>((call.k + Unit::k - 1) / Unit::k)) {}

  MLX_FN const uint32_t* stage(int i) const {
    return reinterpret_cast<const uint32_t*>(shared + (warp * stages + i) * stage_bytes);
  }

  MLX_FN void copy_codes(int unit, int to) {
    if (unit < units) copy.run(shared_address(stage(to)), unit * Unit::bytes);
    close_copies();
  }

  MLX_FN void find_scales() {
    int64_t count = p.k / F::group, matrix = task.matrix * p.scale_batch;
#pragma unroll
    for (int r = 0; r < 2 * tiles; r++) {
      int64_t row = task.column + r * 8 + lane / 4;
      int64_t at = matrix + (row < p.n ? row : p.n - 1) * count + lane % 4;
      scales_at[r] = kept(static_cast<const StoredScale<T, F>*>(p.scales) + at);
      if constexpr (F::affine) biases_at[r] = kept(static_cast<const T*>(p.biases) + at);
    }
  }

  MLX_FN void load_scales(Scales& scales, int unit) {
    int group = unit * groups, left = static_cast<int>(p.k / F::group) - group - lane % 4;
#pragma unroll
    for (int h = 0; h < held; h++) {
      bool present = h * 4 < left;
#pragma unroll
      for (int r = 0; r < 2 * tiles; r++) {
        scales.by[r][h] = present ? scales_at[r][group + h * 4] : StoredScale<T, F>{};
        if constexpr (F::affine) scales.add[r][h] = present ? biases_at[r][group + h * 4] : T{};
      }
    }
  }

  /** Columns past the last row repeat it; nobody reads their sums. */
  MLX_FN void find_columns() {
#pragma unroll
    for (int c = 0; c < column_tiles; c++) {
      int column = c * 8 + lane / 4, row = column / Inputs::parts;
      part[c] = column % Inputs::parts;
      const T* found = find_x<T>(p, row_number(p, task, row < task.count ? row : task.count - 1));
      x[c] = kept((found ? found : static_cast<const T*>(p.x)) + lane % 4 * 8);
    }
  }

  MLX_FN void load_inputs(Inputs (&inputs)[steps_at_once][column_tiles], int unit, int step) {
    int first = unit * Unit::k + step * 32, left = static_cast<int>(p.k) - first - lane % 4 * 8;
#pragma unroll
    for (int i = 0; i < steps_at_once; i++) {
#pragma unroll
      for (int c = 0; c < column_tiles; c++)
        inputs[i][c].load(x[c] + first + i * 32, i * 32 < left);
    }
  }

  MLX_FN void open_group() {
#pragma unroll
    for (int share = 0; share < shares; share++) {
#pragma unroll
      for (int c = 0; c < column_tiles; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          totals[share][c][i] = 0;
#pragma unroll
          for (int t = 0; t < tiles; t++) sums[share][t][c][i] = 0;
        }
      }
    }
  }

  /** Adds the products of 32 codes of each row. */
  MLX_FN void multiply(const uint32_t* codes, const Inputs (&inputs)[column_tiles], int step) {
    uint32_t b[shares][column_tiles][4];
#pragma unroll
    for (int c = 0; c < column_tiles; c++) {
      inputs[c].pairs(b[0][c], part[c]);
      if constexpr (shares > 1) {  // what is of another share's lanes is zero
#pragma unroll
        for (int i = 0; i < 4; i++) {
          uint32_t pair = b[0][c][i];
#pragma unroll
          for (int s = 0; s < shares; s++) b[s][c][i] = lane % 4 * shares / 4 == s ? pair : 0;
        }
      }
    }
    if constexpr (F::affine) {
      constexpr uint32_t one = pair_of_ones<Factor>();
      constexpr uint32_t ones[4] = {one, one, one, one};
#pragma unroll
      for (int s = 0; s < shares; s++) {
#pragma unroll
        for (int c = 0; c < column_tiles; c++) {
          multiply_tile<Factor>(totals[s][c], ones, b[s][c][0], b[s][c][1]);
          multiply_tile<Factor>(totals[s][c], ones, b[s][c][2], b[s][c][3]);
        }
      }
    }
#pragma unroll
    for (int t = 0; t < tiles; t++) {
      EightCodes own[2];
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const uint32_t* row = codes + (t * 16 + h * 8 + lane / 4) * (Unit::pitch / 4);
        own[h] = load_codes<F::bits>(row, step * 4 + lane % 4);
      }
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        uint32_t a[4];
        code_pairs<Factor, F, offset>(own, i, a);
#pragma unroll
        for (int s = 0; s < shares; s++) {
#pragma unroll
          for (int c = 0; c < column_tiles; c++) {
            multiply_tile<Factor>(sums[s][t][c], a, b[s][c][i], b[s][c][i + 1]);
          }
        }
      }
    }
  }

  /** Scales the sums of a group of the unit, and adds them to the results. */
  MLX_FN void close_group(const Scales& scales, int group, int share) {
#pragma unroll
    for (int r = 0; r < 2 * tiles; r++) {
      int from = (lane & ~3) | (group % 4);
      float by = scale_of<T, F>(value_from(scales.by[r][group / 4], from)), add = 0;
      if constexpr (F::affine) add = computed(value_from(scales.add[r][group / 4], from));
      if constexpr (offset) add = __fmaf_rn(-digit_offset, by, add);
#pragma unroll
      for (int c = 0; c < column_tiles; c++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& result = results[r / 2][c][r % 2 * 2 + i];
          result = __fmaf_rn(by, sums[share][r / 2][c][r % 2 * 2 + i], result);
          if constexpr (F::affine) result = __fmaf_rn(add, totals[share][c][i], result);
        }
      }
    }
  }

  MLX_FN void add_unit(const uint32_t* codes, const Scales& scales, int unit,
                       Inputs (&inputs)[steps_at_once][column_tiles]) {
#pragma unroll
    for (int step = 0; step < steps; step++) {
      if (step % steps_at_once == 0 && step > 0) load_inputs(inputs, unit, step);
      if (step % steps_of_group == 0) open_group();
      multiply(codes, inputs[step % steps_at_once], step);
      if ((step + 1) % steps_of_group == 0) {
#pragma unroll
        for (int share = 0; share < shares; share++) {
          close_group(scales, step / steps_of_group * shares + share, share);
        }
      }
    }
  }

  /** Adds up what the warps have, and writes it. */
  MLX_FN void finish() {
    constexpr int pitch = columns + 1;
    float* all = reinterpret_cast<float*>(shared);
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int c = 0; c < column_tiles; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int row = t * 16 + i / 2 * 8 + lane / 4, column = c * 8 + lane % 4 * 2 + i % 2;
          all[(warp * rows + row) * pitch + column] = results[t][c][i];
        }
      }
    }
    __syncthreads();
    float factor = factor_of(p, task);
    for (int i = threadIdx.x; i < rows * task.count; i += warps * 32) {
      int row = i % rows, m = i / rows;
      if (task.column + row >= p.n) continue;
      float sum = 0;
#pragma unroll
      for (int w = 0; w < warps; w++) {
#pragma unroll
        for (int j = 0; j < Inputs::parts; j++) {
          sum += all[(w * rows + row) * pitch + m * Inputs::parts + j];
        }
      }
      store<T>(p.out, row_number(p, task, m) * p.n + task.column + row, rounded<T>(sum * factor));
    }
  }

  MLX_FN void run(uint32_t block) {
    if (!find_task<most_rows, rows>(p, block, task)) return;
    copy = {static_cast<const char*>(p.w) + task.matrix * p.w_batch,
            static_cast<int>(p.k * F::bits / 8), task.column, p.n};
#pragma unroll
    for (int i = 0; i < stages - 1; i++) copy_codes(warp + i * warps, i);
    find_columns();
    find_scales();
    Scales scales, next;
    load_scales(next, warp);
    int now = 0;
    for (int unit = warp; unit < units; unit += warps) {
      Inputs inputs[steps_at_once][column_tiles];
      load_inputs(inputs, unit, 0);
      scales = next;
      wait_copies<stages - 2>();
      __syncwarp();
      copy_codes(unit + (stages - 1) * warps, (now + stages - 1) % stages);
      load_scales(next, unit + warps);
      add_unit(stage(now), scales, unit, inputs);
      now = (now + 1) % stages;
    }
    finish();
  }
};

/** The number of the product that block number `block` works on. */
MLX_FN int quantized_part(const QuantizedRowsCall& p, int64_t block) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < most_quantized_parts; i++) {
    part += i < p.parts && block >= p.first_block[i];
  }
  return part;
}

/** Asks for the codes of a single matrix that a block reads, and for their scales and biases. */
template <typename T, typename F, int tiles>
MLX_FN void fetch_block(const QuantizedRowsCall& calls, int64_t block) {
  int part = quantized_part(calls, block), thread = threadIdx.x;
  const QuantizedProducts& p = calls.part[part];
  if (p.tiles || p.w_batch) return;
  constexpr int64_t rows = 16 * tiles, size = sizeof(StoredScale<T, F>);
  auto at = static_cast<uint32_t>(block - calls.first_block[part]);
  auto across = static_cast<uint32_t>((p.n + rows - 1) / rows);
  int64_t row = (at < across ? at : at % across) * rows;
  int64_t count = p.n - row < rows ? p.n - row : rows, groups = p.k / F::group;
  if (thread == 0) {
    int64_t bytes = p.k * F::bits / 8;
    fetch_ahead(static_cast<const char*>(p.w) + row * bytes, count * bytes);
  } else if (thread == 32) {
    fetch_ahead(static_cast<const char*>(p.scales) + row * groups * size, count * groups * size);
  } else if (F::affine && thread == 64) {
    fetch_ahead(static_cast<const T*>(p.biases) + row * groups, count * groups * sizeof(T));
  }
}

/** The blocks that run first ask for their own codes; all ask for those of the blocks that follow
 *  them. */
template <typename T, typename F, int tiles>
MLX_FN void fetch_codes(const QuantizedRowsCall& p) {
  int64_t block = blockIdx.x, next = block + p.resident;
  if (block < p.resident) fetch_block<T, F, tiles>(p, block);
  if (next < gridDim.x) fetch_block<T, F, tiles>(p, next);
}

template <typename T, typename F, int tiles, int column_tiles>
MLX_FN void quantized_rows(const QuantizedRowsCall& p) {
  extern __shared__ uint4 memory[];
  int part = quantized_part(p, blockIdx.x);
  auto block = static_cast<uint32_t>(blockIdx.x - p.first_block[part]);
  QuantizedRows<T, F, tiles, column_tiles>(p.part[part], reinterpret_cast<char*>(memory))
      .run(block);
}

}  // namespace mlx::core::kernels
