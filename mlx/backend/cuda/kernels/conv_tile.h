// Products of two tiles in shared memory, and how global memory gets there: float32 on tensor cores
// with three products of TF32 parts each, so that it stays float32; half types are TF32 as they
// are; float64 in plain arithmetic.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"

namespace mlx::core::kernels {

/** Copies N elements to shared memory, zeros where not `inside`; arrives after commit and wait. */
template <typename T, int N>
MLX_FN void copy_async(T* to, const T* from, bool inside) {
  constexpr int bytes = N * static_cast<int>(sizeof(T));
  if constexpr (bytes < 4) {
    *to = inside ? *from : T{};
  } else {
    uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    int read = inside ? bytes : 0;
    if constexpr (bytes == 16) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                   "r"(read));
    } else {
      asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from),
                   "n"(bytes), "r"(read));
    }
  }
}
MLX_FN void commit_copies() { asm volatile("cp.async.commit_group;"); }
/** Waits until all but the last `pending` groups of copies have arrived. */
template <int pending>
MLX_FN void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending));
}

/** A float as the sum of two that tensor cores read without loss that matters. */
struct SplitFloat {
  uint32_t high, low;

  MLX_FN explicit SplitFloat(float x) {
    high = (to_bits(x) + 0x1000u) & 0xffffe000u;
    low = to_bits(x - float_of(high));
  }
};

MLX_FN void multiply_tf32(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/** The shape of the work of one block: its tile of results, a warp's part of it, and the depth. */
template <int m_, int n_, int warp_m_, int warp_n_, int stages_>
struct TileShape {
  static constexpr int m = m_, n = n_, warp_m = warp_m_, warp_n = warp_n_, stages = stages_;
  static constexpr int depth = 16;
  static constexpr int threads = m / warp_m * (n / warp_n) * 32;
};

/** How a tile lies in shared memory: element (i, k) at i * along + k * deep. Threads of a warp read
 *  four neighbours at a time and meet every bank once. */
template <typename T, int extent, bool depth_first>
struct TileLayout {
  static constexpr int along = depth_first ? (sizeof(T) == 8 ? 18 : 16) : 1;
  static constexpr int deep = depth_first ? 1 : extent + (sizeof(T) == 2 ? 16 : 8);
  static constexpr int size = depth_first ? extent * along : 16 * deep;

  /** Where the row `octet` of the eight rows `part` of a fragment lies. Any order will do, if all
   *  agree on it; the same is true of the depth. */
  MLX_FN static int row(int part, int octet) {
    return depth_first ? part * 8 + octet : part / 4 * 32 + octet * 4 + part % 4;
  }

  /** What a thread holds of a fragment: four entries of the depth for each part. */
  template <int parts>
  MLX_FN static void load(const T* tile, int octet, int lane, float (&x)[parts][4]) {
    constexpr int step = depth_first ? 1 : 4;
    static_assert(parts % step == 0);
#pragma unroll
    for (int part = 0; part < parts; part += step) {
#pragma unroll
      for (int j = 0; j < step; j++) {
        int at = row(part, octet) * along + (depth_first ? lane * 4 : (j * 4 + lane) * deep);
        auto four = load_pack<T, 4>(tile, at);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          (depth_first ? x[part][i] : x[part + i][j]) = computed(four.at[i]);
        }
      }
    }
  }
};

/** The row and column of a result in its block's tile. */
struct Place {
  int row, column;
};

/** Results of a block in the registers of its threads. */
template <typename T, typename Shape, typename A, typename B>
class TensorCores {
 public:
  static constexpr int row_tiles = Shape::warp_m / 16, column_tiles = Shape::warp_n / 8;
  static constexpr bool exact = !is_same<T, float>;  // one product is enough

  MLX_FN TensorCores() {
    constexpr int down = Shape::m / Shape::warp_m;
    int warp = static_cast<int>(threadIdx.x) / 32;
    first_row_ = warp % down * Shape::warp_m;
    first_column_ = warp / down * Shape::warp_n;
    octet_ = static_cast<int>(threadIdx.x) % 32 / 4;
    lane_ = static_cast<int>(threadIdx.x) % 4;
  }

  /** Adds the product of a tile (m, depth) and a tile (n, depth). */
  MLX_FN void multiply(const T* a, const T* b) {
    float left[row_tiles * 2][4], right[column_tiles][4];
    A::load(a + first_row_ * A::along, octet_, lane_, left);
    B::load(b + first_column_ * B::along, octet_, lane_, right);
    // Tensor cores round towards zero as they add, so they only add up short parts.
    float part[row_tiles][column_tiles][4] = {};
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      uint32_t a_parts[2][row_tiles][4], b_parts[2][column_tiles][2];
#pragma unroll
      for (int i = 0; i < row_tiles; i++) {
#pragma unroll
        for (int x = 0; x < 4; x++) put(left[i * 2 + x % 2][k + x / 2], a_parts, i, x);
      }
#pragma unroll
      for (int j = 0; j < column_tiles; j++) {
#pragma unroll
        for (int x = 0; x < 2; x++) put(right[j][k + x], b_parts, j, x);
      }
      if constexpr (!exact) {
        multiply_parts(part, a_parts[1], b_parts[0]);
        multiply_parts(part, a_parts[0], b_parts[1]);
      }
      multiply_parts(part, a_parts[0], b_parts[0]);
    }
#pragma unroll
    for (int i = 0; i < row_tiles; i++) {
#pragma unroll
      for (int j = 0; j < column_tiles; j++) {
#pragma unroll
        for (int x = 0; x < 4; x++) total_[i][j][x] += part[i][j][x];
      }
    }
  }

  /** Calls f(index, value) for each result of this thread, at most 64. */
  template <typename F>
  MLX_FN void visit(F f) const {
#pragma unroll
    for (int i = 0; i < row_tiles; i++) {
#pragma unroll
      for (int j = 0; j < column_tiles; j++) {
#pragma unroll
        for (int x = 0; x < 4; x++) f((i * column_tiles + j) * 4 + x, total_[i][j][x]);
      }
    }
  }
  MLX_FN Place place(int index) const {
    int i = index / 4 / column_tiles, j = index / 4 % column_tiles, x = index % 4;
    return {first_row_ + A::row(i * 2 + x / 2, octet_),
            first_column_ + B::row(j, lane_ * 2 + x % 2)};
  }

 private:
  template <int tiles, int size>
  MLX_FN static void put(float value, uint32_t (&parts)[2][tiles][size], int tile, int x) {
    if constexpr (exact) {
      parts[0][tile][x] = to_bits(value);
    } else {
      SplitFloat both(value);
      parts[0][tile][x] = both.high;
      parts[1][tile][x] = both.low;
    }
  }
  MLX_FN static void multiply_parts(float (&sum)[row_tiles][column_tiles][4],
                                    const uint32_t (&a)[row_tiles][4],
                                    const uint32_t (&b)[column_tiles][2]) {
#pragma unroll
    for (int i = 0; i < row_tiles; i++) {
#pragma unroll
      for (int j = 0; j < column_tiles; j++) multiply_tf32(sum[i][j], a[i], b[j]);
    }
  }

  int first_row_, first_column_, octet_, lane_;
  float total_[row_tiles][column_tiles][4] = {};
};

/** The same in plain arithmetic. */
template <typename T, typename Shape, typename A, typename B>
class PlainCores {
 public:
  using C = Computed<T>;
  static constexpr int across = 16, down = Shape::threads / across;
  static constexpr int rows = Shape::m / down, columns = Shape::n / across;

  MLX_FN void multiply(const T* a, const T* b) {
#pragma unroll
    for (int k = 0; k < Shape::depth; k++) {
      C left[rows], right[columns];
#pragma unroll
      for (int i = 0; i < rows; i++) left[i] = computed(a[row(i) * A::along + k * A::deep]);
#pragma unroll
      for (int j = 0; j < columns; j++) right[j] = computed(b[column(j) * B::along + k * B::deep]);
#pragma unroll
      for (int i = 0; i < rows; i++) {
#pragma unroll
        for (int j = 0; j < columns; j++) total_[i][j] = madd(left[i], right[j], total_[i][j]);
      }
    }
  }

  template <typename F>
  MLX_FN void visit(F f) const {
#pragma unroll
    for (int i = 0; i < rows; i++) {
#pragma unroll
      for (int j = 0; j < columns; j++) f(i * columns + j, total_[i][j]);
    }
  }
  MLX_FN Place place(int index) const { return {row(index / columns), column(index % columns)}; }

 private:
  MLX_FN static int row(int i) { return static_cast<int>(threadIdx.x) / across + i * down; }
  MLX_FN static int column(int j) { return static_cast<int>(threadIdx.x) % across + j * across; }

  C total_[rows][columns] = {};
};

template <typename T, typename Shape, typename A, typename B>
using Cores =
    choose_type<is_same<T, double>, PlainCores<T, Shape, A, B>, TensorCores<T, Shape, A, B>>;

/** Runs load(step, slot) and use(slot) for each step, loads `stages` - 1 steps ahead. Tensor cores
 *  that read shared memory themselves need `direct`. */
template <int stages, bool direct = false, typename Load, typename Use>
MLX_FN void pipeline(int steps, Load load, Use use) {
#pragma unroll
  for (int i = 0; i < stages - 1; i++) {
    if (i < steps) load(i, i);
    commit_copies();
  }
  for (int step = 0; step < steps; step++) {
    wait_for_copies<stages - 2>();
    if constexpr (direct) asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    int ahead = step + stages - 1;
    if (ahead < steps) load(ahead, ahead % stages);
    commit_copies();
    use(step % stages);
  }
}

}  // namespace mlx::core::kernels
