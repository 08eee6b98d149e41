// What the attention kernels share: their arguments, which queries and keys a block takes, and how
// scores become weights. A row is a query; heads that share keys may lie in one list of rows.
#pragma once

#include "mlx/backend/cuda/kernels/attention_call.h"
#include "mlx/backend/cuda/kernels/values.h"

namespace mlx::core::kernels {

/** How scores are hidden. `general` also serves masks and scales that are not positive. */
enum Hiding { hide_none, hide_causal, hide_general };

constexpr float log2_of_e = 1.44269504f, lowest_score = -3.4028234663852886e38f;

MLX_FN float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/** Weights are 2^(factor (score - highest)). Without a general mask scores are not scaled. */
template <Hiding hiding>
MLX_FN float score_factor(const AttentionCall& p) {
  return hiding == hide_general ? log2_of_e : static_cast<float>(p.scale) * log2_of_e;
}

/** The weight of a score, where `shift` = shift_of(the highest score). */
template <Hiding hiding>
MLX_FN float shift_of(float highest, float factor) {
  if constexpr (hiding == hide_general) {
    return highest == -inf_f ? 0.0f : highest;
  } else {
    return highest == -inf_f ? 0.0f : highest * factor;
  }
}
template <Hiding hiding>
MLX_FN float weight_of(float score, float shift, float factor) {
  if constexpr (hiding == hide_general) {
    return exp2_fast((score - shift) * factor);
  } else {
    return exp2_fast(madd(score, factor, -shift));
  }
}

/** The list of rows that a block works on, its first row and the keys that it goes through. */
struct AttentionTask {
  int64_t list;
  int batch, head, keys_head;
  int first, rows;  // the first row, and all rows of the list
  int begin, end;   // keys
  int open;         // keys before this are seen by all of the block's rows
};

MLX_FN int seen_by(const AttentionCall& p, int position) {
  return static_cast<int>(p.keys - p.length) + position + 1;
}

/** Under a causal mask: cuts the task's keys to those that some row sees. */
template <int block_rows>
MLX_FN void cut_causal(const AttentionCall& p, AttentionTask& task) {
  int length = static_cast<int>(p.length);
  int last = task.first + block_rows < task.rows ? task.first + block_rows - 1 : task.rows - 1;
  bool one_head = task.first / length == last / length;
  int low = seen_by(p, one_head ? task.first % length : 0);
  int high = seen_by(p, one_head ? last % length : length - 1);
  if (low < 1) {  // a row that sees no key takes the mean of all
    task.open = 0;
    return;
  }
  task.open = low;
  task.end = task.end < high ? task.end : high;
}

/** Long rows of a causal mask come first, so that short ones fill the gaps at the end. */
template <int block_rows, Hiding hiding>
MLX_FN AttentionTask find_task(const AttentionCall& p) {
  AttentionTask task;
  task.rows = static_cast<int>(p.pack * p.length);
  int tiles = (task.rows + block_rows - 1) / block_rows;
  int64_t lists = p.batches * p.heads, block = blockIdx.x;
  if (block >= p.fold) block = gridDim.x - 1 - (block - p.fold);
  int64_t first_list = block / (p.section * tiles) * p.section;
  int64_t rest = block - first_list * tiles;
  int64_t count = lists - first_list < p.section ? lists - first_list : p.section;
  task.first = (tiles - 1 - static_cast<int>(rest / count)) * block_rows;
  task.list = first_list + rest % count;
  task.batch = static_cast<int>(task.list / p.heads);
  task.head = static_cast<int>(task.list % p.heads);
  task.keys_head = static_cast<int>(task.head / p.share);
  int64_t begin = blockIdx.y * p.split_keys, end = begin + p.split_keys;
  task.begin = static_cast<int>(begin);
  task.end = static_cast<int>(end < p.keys ? end : p.keys);
  task.open = task.end;
  if (hiding == hide_causal || (hiding == hide_general && p.causal)) {
    cut_causal<block_rows>(p, task);
  }
  if (hiding == hide_general) task.open = 0;  // every score is to be scaled
  return task;
}

/** Which query a row is. */
struct QueryPlace {
  int head, position;
};
MLX_FN QueryPlace place_of(const AttentionCall& p, const AttentionTask& task, int row) {
  int length = static_cast<int>(p.length);
  int over = p.pack == 1 ? 0 : row / length;
  return {static_cast<int>(task.head * p.pack) + over, row - over * length};
}

template <typename T>
MLX_FN const T* query_row(const AttentionCall& p, const AttentionTask& task, int row) {
  QueryPlace place = place_of(p, task, row);
  return static_cast<const T*>(p.q) + task.batch * p.q_strides[0] + place.head * p.q_strides[1] +
         place.position * p.q_strides[2];
}
template <typename T>
MLX_FN const T* key_rows(const AttentionCall& p, const AttentionTask& task) {
  return static_cast<const T*>(p.k) + task.batch * p.k_strides[0] + task.keys_head * p.k_strides[1];
}
template <typename T>
MLX_FN const T* value_rows(const AttentionCall& p, const AttentionTask& task) {
  return static_cast<const T*>(p.v) + task.batch * p.v_strides[0] + task.keys_head * p.v_strides[1];
}

/** What hides keys from one row. */
struct RowSight {
  int seen;      // keys that a causal mask lets it see
  bool blind;    // it sees none of them
  int64_t mask;  // where its row of the mask begins, in elements
};

template <Hiding hiding>
MLX_FN RowSight sight_of(const AttentionCall& p, const AttentionTask& task, int row) {
  RowSight sight{static_cast<int>(p.keys), false, 0};
  if constexpr (hiding != hide_none) {
    QueryPlace place = place_of(p, task, row < task.rows ? row : task.rows - 1);
    if (hiding == hide_causal || p.causal) {
      int seen = seen_by(p, place.position);
      sight.blind = seen < 1;
      if (!sight.blind) sight.seen = seen;
    }
    sight.mask = task.batch * p.mask_strides[0] + place.head * p.mask_strides[1] +
                 place.position * p.mask_strides[2];
  }
  return sight;
}

template <typename M>
MLX_FN void apply_mask(float& score, M mask) {
  if constexpr (is_bool<M>) {
    score = mask ? score : lowest_score;
  } else {
    score += computed(mask);
  }
}

/** Places of a split's results. */
MLX_FN int64_t row_number(const AttentionTask& task, int row) {
  return task.list * task.rows + row;
}
/** Where the result of a row goes, in elements. */
MLX_FN int64_t place_of_result(const AttentionCall& p, int64_t row) {
  if (p.dense_out) return row * p.e;
  int64_t heads = p.heads * p.pack, list = row / p.length, batch = list / heads;
  return batch * p.out_strides[0] + (list - batch * heads) * p.out_strides[1] +
         (row - list * p.length) * p.out_strides[2];
}
MLX_FN int64_t all_rows(const AttentionCall& p) { return p.batches * p.heads * p.pack * p.length; }
struct PartFacts {
  float highest, total;
};
MLX_FN float* part_sums(const AttentionCall& p, int64_t split, int64_t row) {
  return static_cast<float*>(p.parts) + (split * all_rows(p) + row) * p.e;
}
MLX_FN PartFacts* part_facts(const AttentionCall& p, int64_t split, int64_t row) {
  float* after = static_cast<float*>(p.parts) + (p.splits * p.e + 1) / 2 * 2 * all_rows(p);
  return reinterpret_cast<PartFacts*>(after) + split * all_rows(p) + row;
}

/** What ends a row: its sums times `scale` are the result. */
struct RowEnd {
  float scale, logsumexp;
};

/** Adds the weight of the sink, which no value has. Rows are numbered by batch, head, position;
 * those that see no key have the lowest logarithm. */
template <typename T, Hiding hiding>
MLX_FN RowEnd end_row(const AttentionCall& p, int64_t row, float highest, float total) {
  constexpr float ln_of_2 = 0.693147181f;
  float high = hiding == hide_general ? highest : highest * static_cast<float>(p.scale);
  int position = static_cast<int>(row % p.length);
  if (hiding != hide_none && p.causal && seen_by(p, position) < 1) high = lowest_score;
  float weight = 1;
  if (p.sinks) {
    float sink = computed(load<T>(p.sinks, row / p.length % (p.heads * p.pack)));
    float higher = fmaxf(high, sink);
    weight = exp2_fast((high - higher) * log2_of_e);
    total = madd(total, weight, exp2_fast((sink - higher) * log2_of_e));
    high = higher;
  }
  float log = high <= lowest_score ? high : madd(log2f(total), ln_of_2, high);
  return {weight / total, log};
}

/** Writes one sum of a row that a block has brought together: the result, or a part of it. */
template <typename T, Hiding hiding, bool split>
MLX_FN void put_sum(const AttentionCall& p, int64_t row, int column, float sum,
                    const PartFacts& facts) {
  if constexpr (split) {
    part_sums(p, blockIdx.y, row)[column] = sum;
    if (column == 0) *part_facts(p, blockIdx.y, row) = facts;
  } else {
    RowEnd end = end_row<T, hiding>(p, row, facts.highest, facts.total);
    if (column == 0) p.logsumexp[row] = end.logsumexp;
    static_cast<T*>(p.out)[place_of_result(p, row) + column] = rounded<T>(sum * end.scale);
  }
}

/** Writes rows 0 to `present` of what the warps of a block summed up, each warp's sums in the
 *  measure of its own highest score; the rows begin at `task.first`. */
template <typename T, Hiding hiding, bool split, int warps, int rows, int columns>
MLX_FN void put_sums_of_warps(const AttentionCall& p, const AttentionTask& task, int present,
                              float factor, const float (&sums)[warps][rows][columns],
                              const PartFacts (&facts)[warps][rows]) {
  for (int item = threadIdx.x; item < present * columns; item += 32 * warps) {
    int row = item / columns, column = item % columns;
    if (column >= p.e) continue;
    float sum = 0, total = 0, high = -inf_f;
#pragma unroll
    for (int w = 0; w < warps; w++) high = fmaxf(high, facts[w][row].highest);
    float shift = shift_of<hiding>(high, factor);
#pragma unroll
    for (int w = 0; w < warps; w++) {
      float weight = weight_of<hiding>(facts[w][row].highest, shift, factor);
      total = madd(weight, facts[w][row].total, total);
      sum = madd(weight, sums[w][row][column], sum);
    }
    put_sum<T, hiding, split>(p, row_number(task, task.first + row), column, sum, {high, total});
  }
}

constexpr int most_splits = 128;

/** Whether all other blocks of these rows have written their parts, which are then to be seen. */
MLX_FN bool comes_last(const AttentionCall& p) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(p.finished + blockIdx.x, 1u) + 1 == p.splits;
    if (last) p.finished[blockIdx.x] = 0;  // for the next kernel
  }
  __syncthreads();
  __threadfence();
  return last;
}

/** Weights of the parts of a row, by one warp; how the row ends. */
template <typename T, Hiding hiding>
MLX_FN float weigh_parts(const AttentionCall& p, int64_t row, float factor, float* weights,
                         float* totals) {
  int splits = static_cast<int>(p.splits), lane = threadIdx.x % 32;
  float highest = -inf_f;
  for (int i = lane; i < splits; i += 32) {
    float2 facts = __ldcg(reinterpret_cast<const float2*>(part_facts(p, i, row)));
    weights[i] = facts.x;
    totals[i] = facts.y;
    highest = fmaxf(highest, facts.x);
  }
#pragma unroll
  for (int s = 1; s < 32; s *= 2) {
    highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, s));
  }
  float shift = shift_of<hiding>(highest, factor), total = 0;
  for (int i = lane; i < splits; i += 32) weights[i] = weight_of<hiding>(weights[i], shift, factor);
  __syncwarp();
  for (int i = 0; i < splits; i++) total = madd(weights[i], totals[i], total);
  RowEnd end = end_row<T, hiding>(p, row, highest, total);
  if (lane == 0) p.logsumexp[row] = end.logsumexp;
  return end.scale;
}

/** As merge_attention for `present` rows of a list from row `first` on, by a block whose last part
 *  of them is written. `memory` is shared, room for two numbers per row and split and one more. */
template <typename T, Hiding hiding, int width>
MLX_FN void merge_rows(const AttentionCall& p, int64_t first, int present, float* memory) {
  int splits = static_cast<int>(p.splits), warps = blockDim.x / 32;
  float *weights = memory, *scales = memory + 2 * present * splits;
  for (int row = threadIdx.x / 32; row < present; row += warps) {
    float* own = weights + 2 * row * splits;
    float scale =
        weigh_parts<T, hiding>(p, first + row, score_factor<hiding>(p), own, own + splits);
    if (threadIdx.x % 32 == 0) scales[row] = scale;
  }
  __syncthreads();
  int across = static_cast<int>(p.e) / width;
  for (int item = threadIdx.x; item < present * across; item += blockDim.x) {
    int row = item / across, column = item % across * width;
    const float* weight = weights + 2 * row * splits;
    T* to = static_cast<T*>(p.out) + place_of_result(p, first + row) + column;
    float sums[width] = {};
#pragma unroll 8
    for (int i = 0; i < splits; i++) {
      const float* from = part_sums(p, i, first + row) + column;
      if constexpr (width == 4) {
        float4 part = __ldcg(reinterpret_cast<const float4*>(from));
        sums[0] = madd(weight[i], part.x, sums[0]);
        sums[1] = madd(weight[i], part.y, sums[1]);
        sums[2] = madd(weight[i], part.z, sums[2]);
        sums[3] = madd(weight[i], part.w, sums[3]);
      } else {
        sums[0] = madd(weight[i], __ldcg(from), sums[0]);
      }
    }
#pragma unroll
    for (int c = 0; c < width; c++) to[c] = rounded<T>(sums[c] * scales[row]);
  }
}

/** Brings the parts of these rows together in the block that ends last. `memory` is shared. */
template <typename T, Hiding hiding>
MLX_FN void merge_if_last(const AttentionCall& p, int64_t first, int present, float* memory) {
  if (!p.finished || !comes_last(p)) return;
  if (p.e % 4 == 0) {
    merge_rows<T, hiding, 4>(p, first, present, memory);
  } else {
    merge_rows<T, hiding, 1>(p, first, present, memory);
  }
}

/** out = the parts' sums over their totals, each part in the measure of the highest score. */
template <typename T, Hiding hiding>
MLX_FN void merge_attention(const AttentionCall& p) {
  __shared__ PartFacts facts[most_splits];
  int64_t row = blockIdx.x;
  int splits = static_cast<int>(p.splits), thread = threadIdx.x;
  if (thread < splits) facts[thread] = *part_facts(p, thread, row);
  __syncthreads();
  float factor = score_factor<hiding>(p), highest = -inf_f;
  for (int i = 0; i < splits; i++) highest = fmaxf(highest, facts[i].highest);
  float shift = shift_of<hiding>(highest, factor), total = 0;
  for (int i = 0; i < splits; i++) {
    total = madd(weight_of<hiding>(facts[i].highest, shift, factor), facts[i].total, total);
  }
  RowEnd end = end_row<T, hiding>(p, row, highest, total);
  if (thread == 0) p.logsumexp[row] = end.logsumexp;
  for (int column = thread; column < p.e; column += blockDim.x) {
    float sum = 0;
#pragma unroll 8
    for (int i = 0; i < splits; i++) {
      float weight = weight_of<hiding>(facts[i].highest, shift, factor);
      sum = madd(weight, part_sums(p, i, row)[column], sum);
    }
    static_cast<T*>(p.out)[place_of_result(p, row) + column] = rounded<T>(sum * end.scale);
  }
}

}  // namespace mlx::core::kernels
