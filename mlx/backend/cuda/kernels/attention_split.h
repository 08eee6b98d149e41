// Attention of float32 by the tensor cores of compute capability 9.0. A float is the exact sum of
// three bfloats; of their nine products those above 2^-22 of the largest are added up, so errors
// are those of float arithmetic. (What is infinite may become NaN.)
#pragma once

#include "mlx/backend/cuda/kernels/attention_matrix_rows.h"
#include "mlx/backend/cuda/kernels/warpgroup_products.h"

namespace mlx::core::kernels {

constexpr int parts = 3;

/** Parts of two floats, as pairs of bfloats. */
MLX_FN void split_pair(float a, float b, uint32_t (&pairs)[parts]) {
#pragma unroll
  for (int k = 0; k < parts; k++) {
    pairs[k] = __byte_perm(to_bits(a), to_bits(b), 0x7632);  // the upper halves
    a -= float_of(to_bits(a) & 0xffff0000u);
    b -= float_of(to_bits(b) & 0xffff0000u);
  }
}

/** The parts of factors to multiply, small products first. */
MLX_FN constexpr int left_part(int product) {
  constexpr int left[] = {2, 1, 0, 1, 0, 0};
  return left[product];
}
MLX_FN constexpr int right_part(int product) {
  constexpr int right[] = {0, 1, 2, 0, 1, 0};
  return right[product];
}
constexpr int products = 6;

/** Rows on their way from memory to panels: each thread splits what it copied itself. */
template <int count, int columns, int threads>
struct SplitRows {
  static constexpr int chunks = columns / 8, down = threads / chunks, turns = count / down;
  static constexpr uint32_t panel_bytes = count * columns * 2, raw_bytes = count * columns * 4;
  static_assert(threads % chunks == 0 && count % down == 0 && down % 8 == 0);

  uint32_t panels;  // parts times [panel of 64 columns][row]
  char* raw;

  MLX_FN void copy(const float* from, int64_t stride, int first, int limit, int width) const {
    int row = threadIdx.x / chunks, column = threadIdx.x % chunks * 8;
    uint32_t to = shared_address(raw) + threadIdx.x * 16;
    const float* source = from + (first + row) * stride + column;
#pragma unroll
    for (int i = 0; i < turns; i++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        bool present = first + row + i * down < limit && column + half * 4 < width;
        copy_async(to + (2 * i + half) * threads * 16, present ? source + half * 4 : from, present);
      }
      source += down * stride;
    }
  }

  MLX_FN void split() const {
    int place = place_of_key(threadIdx.x / chunks), chunk = threadIdx.x % chunks;
    uint32_t panel = panels + chunk / 8 * count * 128 + place * 128;
    int column = (chunk % 8) ^ (place % 8);
    const auto* source = reinterpret_cast<const float4*>(raw) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < turns; i++) {
      float4 a = source[2 * i * threads], b = source[(2 * i + 1) * threads];
      int more = place_of_key(i * down);
      uint32_t to = panel + more * 128 + (column ^ (more % 8)) * 16, words[4][parts];
      split_pair(a.x, a.y, words[0]);
      split_pair(a.z, a.w, words[1]);
      split_pair(b.x, b.y, words[2]);
      split_pair(b.z, b.w, words[3]);
#pragma unroll
      for (int k = 0; k < parts; k++) {
        asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to + k * panel_bytes),
                     "r"(words[0][k]), "r"(words[1][k]), "r"(words[2][k]), "r"(words[3][k])
                     : "memory");
      }
    }
  }
};

/** `d`, `e`: columns, padded to whole panels of 64. `step` keys go at a time. */
template <int d, int e, int step, Hiding hiding, bool split>
struct SplitAttention : MatrixRows<float, e, 1, step, hiding, split> {
  using Rows = MatrixRows<float, e, 1, step, hiding, split>;
  using Rows::lane, Rows::p, Rows::scores, Rows::sums, Rows::task;
  static constexpr int rows = 64, threads = 128;

  SplitRows<step, d, threads> keys;
  SplitRows<step, e, threads> values;
  const float *all_keys, *all_values;
  uint32_t queries[parts][d / 16][4], weights[parts][step / 16][4];
  float fresh[8][4];

  MLX_FN SplitAttention(const AttentionCall& call, char* shared)
      : Rows(call, find_task<rows, hiding>(call)),
        all_keys(key_rows<float>(call, task)),
        all_values(value_rows<float>(call, task)) {
    uint32_t panels = aligned_panels(shared), before = panels - shared_address(shared);
    keys.panels = panels;
    values.panels = panels + parts * keys.panel_bytes;
    keys.raw = shared + before + parts * (keys.panel_bytes + values.panel_bytes);
    values.raw = keys.raw + keys.raw_bytes;
  }

  MLX_FN void load_queries() {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = this->row_of(0, half);
      const float* from = query_row<float>(p, task, row < task.rows ? row : 0);
#pragma unroll
      for (int i = 0; i < d / 8; i++) {
        int column = i * 8 + lane % 4 * 2;
        float2 pair{0, 0};
        if (row < task.rows && column < p.d) pair = *reinterpret_cast<const float2*>(from + column);
        uint32_t words[parts];
        split_pair(pair.x, pair.y, words);
#pragma unroll
        for (int k = 0; k < parts; k++) queries[k][i / 2][i % 2 * 2 + half] = words[k];
      }
    }
  }

  MLX_FN void copy_keys(int first) {
    keys.copy(all_keys, p.k_strides[2], first, task.end, static_cast<int>(p.d));
    close_copies();
  }
  MLX_FN void copy_values(int first) {
    values.copy(all_values, p.v_strides[2], first, task.end, static_cast<int>(p.value_width));
    close_copies();
  }

  MLX_FN void multiply_keys() {
    open_products();
#pragma unroll
    for (int n = 0; n < step / 64; n++) {
#pragma unroll
      for (int x = 0; x < products; x++) {
#pragma unroll
        for (int i = 0; i < d / 16; i++) {
          uint32_t at = keys.panels + right_part(x) * keys.panel_bytes + i / 4 * step * 128 +
                        n * 64 * 128 + i % 4 * 32;
          multiply_warps<BFloat, false>(&scores[0][8 * n], queries[left_part(x)][i],
                                        describe_rows(at), x + i > 0);
        }
      }
    }
    close_products();
  }

  /** Tensor cores cut off what they add up, so each turn starts from zero. */
  MLX_FN void multiply_values(int n) {
#pragma unroll
    for (int k = 0; k < parts; k++) pin(weights[k]);
    pin(fresh);
    open_products();
#pragma unroll
    for (int x = 0; x < products; x++) {
#pragma unroll
      for (int i = 0; i < step / 16; i++) {
        uint32_t at =
            values.panels + right_part(x) * values.panel_bytes + n * step * 128 + i * 16 * 128;
        multiply_warps<BFloat, true>(&fresh[0], weights[left_part(x)][i], describe_rows(at),
                                     x + i > 0);
      }
    }
    close_products();
  }
  MLX_FN void add_fresh(int n) {
    wait_products<0>();
    pin(fresh);
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        float& sum = sums[0][n * 8 + j][c];
        sum = madd(sum, this->scales[0][c / 2], fresh[j][c]);
      }
    }
  }

  MLX_FN void pack() {
#pragma unroll
    for (int i = 0; i < step / 16; i++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const float(&pair)[4] = scores[0][2 * i + c / 2];
        uint32_t words[parts];
        split_pair(pair[c % 2 * 2], pair[c % 2 * 2 + 1], words);
#pragma unroll
        for (int k = 0; k < parts; k++) weights[k][i][c] = words[k];
      }
    }
  }

  /** Makes panels of what this thread copied, for the products of all. */
  template <typename Panels>
  MLX_FN void split_rows(const Panels& panels) const {
    panels.split();
    publish_copies();
  }

  MLX_FN void run() {
    if (task.begin < task.end) go_through_keys();
    this->finish();
  }

  MLX_FN void go_through_keys() {
    copy_keys(task.begin);
    copy_values(task.begin);
    load_queries();
    wait_copies<1>();
    split_rows(keys);
    copy_keys(task.begin + step);
    __syncthreads();
    for (int first = task.begin; first < task.end; first += step) {
#pragma unroll
      for (int k = 0; k < parts; k++) pin(queries[k]);
      pin(scores[0]);
      multiply_keys();
      wait_copies<1>();
      split_rows(values);
      copy_values(first + step);
      wait_products<0>();
      pin(scores[0]);
      if (first + step > task.open || first + step > task.end) this->hide(first);
      this->weigh();
      pack();
      __syncthreads();
#pragma unroll
      for (int n = 0; n < e / 64; n++) {
        multiply_values(n);
        if (n == 0) {
          wait_copies<1>();
          split_rows(keys);
          copy_keys(first + 2 * step);
        }
        add_fresh(n);
      }
      __syncthreads();
    }
    wait_copies<0>();
  }
};

template <int d, int e, int step, Hiding hiding, bool split>
MLX_FN void split_attention(const AttentionCall& p) {
  extern __shared__ uint4 shared[];
  SplitAttention<d, e, step, hiding, split>(p, reinterpret_cast<char*>(shared)).run();
}

}  // namespace mlx::core::kernels
