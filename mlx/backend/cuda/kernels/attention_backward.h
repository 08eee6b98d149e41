// What the kernels of attention's backward pass share. One kernel goes through the keys of a block
// of queries, another through the queries of a block of keys; each makes the weights again, and
// adds up in one order. `rows` are what a block keeps, `columns` what it goes through.
#pragma once

#include "mlx/backend/cuda/kernels/attention_copies.h"

namespace mlx::core::kernels {

/** What a query brings: the logarithm of its weights' sum, and so on. Absent ones weigh nothing. */
struct QueryFacts {
  float logsumexp = inf_f, row_sum = 0, factor = 1;
};

/** The heads and the first row that a block works on. */
struct BackwardTask {
  int list, batch, head, keys_head, first;
};

/** Which block of rows of which list: long ones under a causal mask come first. */
template <int block_rows, bool keys_are_rows>
MLX_FN BackwardTask find_backward_task(const AttentionBackwardCall& p) {
  int rows = static_cast<int>(keys_are_rows ? p.keys : p.length);
  int heads = static_cast<int>(keys_are_rows ? p.key_heads : p.heads);
  int tiles = (rows + block_rows - 1) / block_rows, lists = static_cast<int>(p.batches) * heads;
  int section = static_cast<int>(p.section), block = static_cast<int>(blockIdx.x);
  int first_list = block / (section * tiles) * section, rest = block - first_list * tiles;
  int count = lists - first_list < section ? lists - first_list : section;
  int tile = keys_are_rows ? rest / count : tiles - 1 - rest / count;
  BackwardTask task;
  task.list = first_list + rest % count;
  task.batch = task.list / heads;
  int group = static_cast<int>(p.heads / p.key_heads), head = task.list % heads;
  task.keys_head = keys_are_rows ? head : head / group;
  task.head = keys_are_rows ? head * group : head;
  task.first = tile * block_rows;
  return task;
}

/** Keys that a causal mask lets a query see; fewer than one where it sees none. */
MLX_FN int keys_seen(const AttentionBackwardCall& p, int query) {
  return static_cast<int>(p.keys - p.length) + query + 1;
}

template <typename T>
MLX_FN const T* rows_of_head(const void* data, const int64_t (&strides)[3], int batch, int head) {
  return static_cast<const T*>(data) + batch * strides[0] + head * strides[1];
}

/** Where the gradient of a row of the task's own head begins. */
template <typename T, bool keys_are_rows>
MLX_FN T* row_of_gradient(void* data, const int64_t (&strides)[3], const BackwardTask& task,
                          int row) {
  return static_cast<T*>(data) + task.batch * strides[0] +
         (keys_are_rows ? task.keys_head : task.head) * strides[1] + row * strides[2];
}

MLX_FN int64_t query_number(const AttentionBackwardCall& p, int batch, int head, int query) {
  return (batch * p.heads + head) * p.length + query;
}

template <Hiding hiding, bool keys_are_rows>
MLX_FN QueryFacts facts_of(const AttentionBackwardCall& p, int batch, int head, int query) {
  QueryFacts facts;
  if (query < p.length) {
    int64_t number = query_number(p, batch, head, query);
    facts.logsumexp = p.logsumexp[number];
    facts.row_sum = p.row_sums[number];
    if (hiding == hide_general && keys_are_rows) facts.factor = p.factors[number];
  }
  return facts;
}

/** Turns the product of a query and a key into its weight, and the weight's gradient into that of
 *  the scaled score. A query that sees no key weighs all alike, unless it has a sink. */
template <typename T, Hiding hiding, bool edge>
MLX_FN void differentiate(const AttentionBackwardCall& p, float& weight, float& gradient,
                          const QueryFacts& facts, int64_t mask, int query, int key) {
  float scale = static_cast<float>(p.scale);
  bool seen = true;
  if constexpr (hiding == hide_general) {
    float score = weight * scale;
    int last = static_cast<int>(p.keys) - 1, position = static_cast<int>(p.length) - 1;
    int64_t at = mask + (query < position ? query : position) * p.mask_strides[2] +
                 (key < last ? key : last) * p.mask_strides[3];
    if (p.bool_mask) {
      seen = load<bool>(p.mask, at);
    } else {
      score += computed(load<T>(p.mask, at));
    }
    if (p.causal) seen = seen && key < keys_seen(p, query);
    if (!seen) score = lowest_score;
    weight = exp2_fast((score - facts.logsumexp) * log2_of_e) * facts.factor;
  } else {
    weight = exp2_fast(madd(weight, scale * log2_of_e, -facts.logsumexp * log2_of_e));
    if constexpr (edge && hiding == hide_causal) {
      int count = keys_seen(p, query);
      seen = key < count;
      if (!seen) {
        bool mean = count < 1 && query < p.length && !p.sinks;
        weight = mean ? 1.0f / static_cast<float>(p.keys) : 0.0f;
      }
    }
  }
  gradient = seen ? weight * (gradient - facts.row_sum) : 0.0f;
  if (edge && key >= p.keys) weight = gradient = 0;
}

/** The columns that a block goes through, under a causal mask those that its rows meet. */
struct ColumnRange {
  int begin, end;
};
template <int block_rows, int step, Hiding hiding, bool keys_are_rows>
MLX_FN ColumnRange columns_of(const AttentionBackwardCall& p, int first) {
  int length = static_cast<int>(p.length), keys = static_cast<int>(p.keys);
  ColumnRange range{0, keys_are_rows ? length : keys};
  if (hiding != hide_causal) return range;
  if (keys_are_rows) {
    bool all = length > keys;  // queries that see no key meet all
    int before = first - (keys - length);
    if (!all && before > 0) range.begin = before / step * step;
  } else {
    int last = first + block_rows < length ? first + block_rows : length;
    int seen = keys_seen(p, last - 1);
    range.end = seen < 0 ? 0 : seen < keys ? seen : keys;
  }
  return range;
}

/** Whether some score of a tile is hidden or absent. */
template <Hiding hiding, bool keys_are_rows>
MLX_FN bool is_edge(const AttentionBackwardCall& p, int row, int rows, int column, int columns) {
  if (hiding == hide_general) return true;
  int query = keys_are_rows ? column : row, key_end = keys_are_rows ? row + rows : column + columns;
  return key_end > p.keys || (hiding == hide_causal && key_end > keys_seen(p, query));
}

/** `count` rows from `first` on; rows from `limit` and columns from `width` on are zeros. */
template <typename T, int count, int columns, int pitch, int threads>
MLX_FN void copy_tile(T* to, const T* from, int64_t stride, int first, int limit, int64_t width) {
  constexpr int each = 16 / sizeof(T), chunks = columns / each;
  uint32_t base = shared_address(to);
#pragma unroll 4
  for (int item = threadIdx.x; item < count * chunks; item += threads) {
    int row = item / chunks, column = item % chunks * each;
    bool present = first + row < limit && column < width;
    copy_async(base + (row * pitch + column) * sizeof(T),
               present ? from + (first + row) * stride + column : from, present);
  }
}

/** What a block keeps and goes through: queries with cotangents, and keys with values, or the other
 *  way round. The columns come in turns of `step`, for one query head after the other. */
template <typename T, int d, int e, int rows, int step, int threads, bool keys_are_rows>
struct BackwardOperands {
  static constexpr int pad = 16 / sizeof(T), d_pitch = d + pad, e_pitch = e + pad;
  static constexpr int stage_size = step * (d_pitch + e_pitch);

  const AttentionBackwardCall& p;
  BackwardTask task;
  ColumnRange range;
  int per_head, turns;
  T *row_d, *row_e, *stages;  // rows of d and of e columns

  MLX_FN BackwardOperands(const AttentionBackwardCall& call, const BackwardTask& part,
                          ColumnRange columns, T* shared)
      : p(call),
        task(part),
        range(columns),
        per_head((columns.end - columns.begin + step - 1) / step),
        turns(keys_are_rows ? per_head * static_cast<int>(p.heads / p.key_heads) : per_head),
        row_d(shared),
        row_e(row_d + rows * d_pitch),
        stages(row_e + rows * e_pitch) {}

  MLX_FN int head_of(int turn) const { return task.head + (keys_are_rows ? turn / per_head : 0); }
  MLX_FN int first_of(int turn) const { return range.begin + turn % per_head * step; }
  MLX_FN T* column_d(int stage) const { return stages + stage * stage_size; }
  MLX_FN T* column_e(int stage) const { return column_d(stage) + step * d_pitch; }

  template <int count>
  MLX_FN void copy_queries(T* to_d, T* to_e, int head, int first) const {
    int limit = static_cast<int>(p.length);
    copy_tile<T, count, d, d_pitch, threads>(to_d,
                                             rows_of_head<T>(p.q, p.q_strides, task.batch, head),
                                             p.q_strides[2], first, limit, p.q_width);
    copy_tile<T, count, e, e_pitch, threads>(
        to_e, rows_of_head<T>(p.cotangent, p.cotangent_strides, task.batch, head),
        p.cotangent_strides[2], first, limit, p.cotangent_width);
  }
  template <int count>
  MLX_FN void copy_keys(T* to_d, T* to_e, int first) const {
    int limit = static_cast<int>(p.keys);
    copy_tile<T, count, d, d_pitch, threads>(
        to_d, rows_of_head<T>(p.k, p.k_strides, task.batch, task.keys_head), p.k_strides[2], first,
        limit, p.k_width);
    copy_tile<T, count, e, e_pitch, threads>(
        to_e, rows_of_head<T>(p.v, p.v_strides, task.batch, task.keys_head), p.v_strides[2], first,
        limit, p.v_width);
  }

  MLX_FN void copy_block() const {
    if constexpr (keys_are_rows) {
      copy_keys<rows>(row_d, row_e, task.first);
    } else {
      copy_queries<rows>(row_d, row_e, task.head, task.first);
    }
  }
  /** Also what queries bring, where they are the columns. */
  template <Hiding hiding>
  MLX_FN void copy_turn(int turn, int stage, QueryFacts* facts) const {
    if constexpr (keys_are_rows) {
      copy_queries<step>(column_d(stage), column_e(stage), head_of(turn), first_of(turn));
      if (threadIdx.x < step) {
        facts[stage * step + threadIdx.x] = facts_of<hiding, keys_are_rows>(
            p, task.batch, head_of(turn), first_of(turn) + static_cast<int>(threadIdx.x));
      }
    } else {
      copy_keys<step>(column_d(stage), column_e(stage), first_of(turn));
    }
  }
  MLX_FN int64_t mask_of(int turn) const {
    return task.batch * p.mask_strides[0] + head_of(turn) * p.mask_strides[1];
  }

  /** Goes through the turns: compute(turn, stage) while the next one is on its way. */
  template <Hiding hiding, int stage_count, typename F>
  MLX_FN void go_through(QueryFacts* facts, const F& compute) const {
    copy_block();
    if (turns > 0) copy_turn<hiding>(0, 0, facts);
    close_copies();
    for (int turn = 0; turn < turns; turn++) {
      int stage = stage_count > 1 ? turn % 2 : 0;
      if (stage_count > 1 && turn + 1 < turns) copy_turn<hiding>(turn + 1, stage ^ 1, facts);
      close_copies();
      wait_copies<stage_count - 1>();
      __syncthreads();
      compute(turn, stage);
      __syncthreads();
      if (stage_count == 1 && turn + 1 < turns) copy_turn<hiding>(turn + 1, 0, facts);
    }
    wait_copies<0>();
  }
};

/** row_sums: a warp per query. */
template <typename T>
MLX_FN void attention_row_sums(const AttentionBackwardCall& p) {
  int64_t number = blockIdx.x * int64_t(blockDim.x / 32) + threadIdx.x / 32;
  if (number >= p.batches * p.heads * p.length) return;
  int query = static_cast<int>(number % p.length), list = static_cast<int>(number / p.length);
  int head = list % static_cast<int>(p.heads), batch = list / static_cast<int>(p.heads);
  const T* a =
      rows_of_head<T>(p.result, p.result_strides, batch, head) + query * p.result_strides[2];
  const T* b = rows_of_head<T>(p.cotangent, p.cotangent_strides, batch, head) +
               query * p.cotangent_strides[2];
  float sum = 0;
  for (int64_t i = threadIdx.x % 32; i < p.e; i += 32) {
    sum = madd(computed(load<T>(a, i)), computed(load<T>(b, i)), sum);
  }
#pragma unroll
  for (int s = 1; s < 32; s *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, s);
  if (threadIdx.x % 32 == 0) p.row_sums[number] = sum;
}

/** dsinks: a block per head. */
template <typename T>
MLX_FN void attention_sink_gradients(const AttentionBackwardCall& p) {
  constexpr int threads = 256;
  __shared__ float sums[threads];
  int head = static_cast<int>(blockIdx.x);
  float sink = computed(load<T>(p.sinks, head)), sum = 0;
  for (int64_t i = threadIdx.x; i < p.batches * p.length; i += threads) {
    int64_t number = (i / p.length * p.heads + head) * p.length + i % p.length;
    sum -= exp2_fast((sink - p.logsumexp[number]) * log2_of_e) * p.row_sums[number];
  }
  sums[threadIdx.x] = sum;
  for (int half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) static_cast<T*>(p.dsinks)[head] = rounded<T>(sums[0]);
}

}  // namespace mlx::core::kernels
