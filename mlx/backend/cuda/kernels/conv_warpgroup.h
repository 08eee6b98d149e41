// Float32 convolutions on Hopper: four warps multiply together, the image in registers and the
// weight in shared memory, each in two parts of TF32. The weight is taken apart beforehand.
#pragma once

#include "mlx/backend/cuda/kernels/conv_gemm.h"

namespace mlx::core::kernels {

// Tiles of the packed weight: 64 output channels by 16 of the depth, first the high parts, then the
// low ones, each as 8 x 4 matrices of the tensor cores.
constexpr int packed_rows = 64, packed_depth = 16, packed_part = packed_rows * packed_depth;
constexpr int packed_tile = 2 * packed_part, pack_threads = 256;

/** A block per group, tile of output channels and step of the depth. */
MLX_FN void pack_weight(const ConvPhase& p, BlockNumber block) {
  int depth = p.depth(), steps = static_cast<int>(tiles_of(depth, packed_depth));
  int64_t tiles = tiles_of(p.out_channels, packed_rows);
  if (steps == 0) return;
  int64_t tile = block.last();
  if (tile >= steps * tiles * p.groups) return;
  int step = block.next(steps), first = block.next(tiles) * packed_rows;
  const float* weight =
      static_cast<const float*>(p.weight) + block.last() * p.out_channels * p.weight_row;
  float* packed = p.packed + tile * packed_tile;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < packed_part; i += pack_threads) {
    // Threads hold four neighbours of the image's depth, so neighbours here are four apart.
    int k = step * packed_depth + i % 4 * 4 + i / 32 % 4;
    int row = first + i / 128 * 8 + i / 4 % 8;
    bool exists = k < depth && row < p.out_channels;
    SplitFloat parts(exists ? weight[row * p.weight_row + Tap(p, k).weight] : 0.0f);
    packed[i] = float_of(parts.high);
    packed[packed_part + i] = float_of(parts.low);
  }
}

/** How the tensor cores find an 8-deep half of a tile in shared memory. */
MLX_FN uint64_t matrix_at(const float* tile, int half) {
  constexpr uint64_t across = 128 / 16, down = 512 / 16;  // between matrices
  auto address = static_cast<uint64_t>(__cvta_generic_to_shared(tile)) + half * 256;
  return (address & 0x3ffff) / 16 | across << 16 | down << 32;
}

/** Starts sum = a b + sum, or without sum if it is the `first`: (64, 8) by (8, 64). */
MLX_FN void multiply_async(float (&sum)[32], const uint32_t (&a)[4], uint64_t b, bool first) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.b32 p, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, "
      "%24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, p, 1, 1;\n}"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]), "+f"(sum[4]), "+f"(sum[5]),
        "+f"(sum[6]), "+f"(sum[7]), "+f"(sum[8]), "+f"(sum[9]), "+f"(sum[10]), "+f"(sum[11]),
        "+f"(sum[12]), "+f"(sum[13]), "+f"(sum[14]), "+f"(sum[15]), "+f"(sum[16]), "+f"(sum[17]),
        "+f"(sum[18]), "+f"(sum[19]), "+f"(sum[20]), "+f"(sum[21]), "+f"(sum[22]), "+f"(sum[23]),
        "+f"(sum[24]), "+f"(sum[25]), "+f"(sum[26]), "+f"(sum[27]), "+f"(sum[28]), "+f"(sum[29]),
        "+f"(sum[30]), "+f"(sum[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(first)));
}

/** Results of a warpgroup: 64 pixels by `across` times 64 output channels. */
template <int across>
class WarpgroupCores {
 public:
  MLX_FN WarpgroupCores() {
    int thread = static_cast<int>(threadIdx.x) % 128;
    row_ = thread / 32 * 16 + thread % 32 / 4;
    lane_ = thread % 4;
  }

  /** Adds the product of a tile (64, 16) of the image and packed tiles of the weight. */
  MLX_FN void multiply(const float* a, const float* b) {
    uint32_t high[2][4], low[2][4];
#pragma unroll
    for (int x = 0; x < 2; x++) {
      auto four = load_pack<float, 4>(a, (row_ + x * 8) * packed_depth + lane_ * 4);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        SplitFloat parts(four.at[k]);
        high[k / 2][k % 2 * 2 + x] = parts.high;
        low[k / 2][k % 2 * 2 + x] = parts.low;
      }
    }
    // Tensor cores round towards zero as they add, so they only add up short parts.
    float part[across][32];
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int j = 0; j < across; j++) {
      const float* tile = b + j * packed_tile;
#pragma unroll
      for (int half = 0; half < 2; half++) {
        uint64_t b_high = matrix_at(tile, half), b_low = matrix_at(tile + packed_part, half);
        multiply_async(part[j], low[half], b_high, half == 0);
        multiply_async(part[j], high[half], b_low, false);
        multiply_async(part[j], high[half], b_high, false);
      }
    }
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (int j = 0; j < across; j++) {
#pragma unroll
      for (int x = 0; x < 32; x++) {
        asm volatile("" : "+f"(part[j][x])::"memory");  // not before the wait
        total_[j][x] += part[j][x];
      }
    }
  }

  /** Calls f(index, value) for each result of this thread, at most 64. */
  template <typename F>
  MLX_FN void visit(F f) const {
#pragma unroll
    for (int j = 0; j < across; j++) {
#pragma unroll
      for (int x = 0; x < 32; x++) f(j * 32 + x, total_[j][x]);
    }
  }
  MLX_FN Place place(int index) const {
    return {row_ + index / 2 % 2 * 8, index / 4 * 8 + lane_ * 2 + index % 2};
  }

 private:
  int row_, lane_;
  float total_[across][32] = {};
};

/** `wide`: channels come in pieces of 16 bytes. A block per tile of pixels, group and tile of
 *  output channels. */
template <bool wide, int across, int stages>
MLX_FN void conv_warpgroup(const ConvPhase& p, BlockNumber block) {
  constexpr int m = 64, n = packed_rows * across, threads = 128;
  constexpr int piece = wide ? 4 : 1, pieces = packed_depth / piece, apart = threads / pieces;
  constexpr int a_rows = m / apart;
  __shared__ __align__(128) float a_tiles[stages][m * packed_depth];
  __shared__ __align__(128) float b_tiles[stages][across * packed_tile];
  __shared__ int64_t row_out[m];
  int first_channel = block.next(tiles_of(p.out_channels, n)) * n, group = block.next(p.groups);
  int64_t first_pixel = block.last() * m;
  if (first_pixel >= p.pixels) return;
  int thread = static_cast<int>(threadIdx.x), deep = thread % pieces * piece;
  int depth = p.depth(), steps = static_cast<int>(tiles_of(depth, packed_depth));
  for (int i = thread; i < m; i += threads) row_out[i] = Pixel(p, first_pixel + i).out;
  const float* in = static_cast<const float*>(p.in) + static_cast<int64_t>(group) * p.channels;
  int64_t tiles = tiles_of(p.out_channels, packed_rows);
  const float* packed =
      p.packed + ((group * tiles + first_channel / packed_rows) * steps * packed_tile + thread * 4);
  int here = static_cast<int>(tiles - first_channel / packed_rows);
  Pixel pixels[a_rows];
  const float* rows[a_rows];
#pragma unroll
  for (int i = 0; i < a_rows; i++) {
    pixels[i] = Pixel(p, first_pixel + thread / pieces + i * apart);
    rows[i] = in + pixels[i].in;
  }
  auto load = [&](int step, int slot) {
    int k = step * packed_depth + deep;
    bool exists = k < depth;
    Tap tap(p, k);
    float* to = &a_tiles[slot][thread / pieces * packed_depth + deep];
#pragma unroll
    for (int i = 0; i < a_rows; i++) {
      copy_async<float, piece>(to + i * apart * packed_depth, rows[i] + tap.in,
                               exists && is_inside(p, pixels[i].at, tap.at));
    }
    const float* from = packed + static_cast<int64_t>(step) * packed_tile;
#pragma unroll
    for (int j = 0; j < across; j++) {
#pragma unroll
      for (int i = 0; i < packed_tile; i += threads * 4) {
        copy_async<float, 4>(&b_tiles[slot][j * packed_tile + i + thread * 4],
                             from + (static_cast<int64_t>(j) * steps * packed_tile + i), j < here);
      }
    }
  };
  WarpgroupCores<across> cores;
  pipeline<stages, true>(steps, load,
                         [&](int slot) { cores.multiply(a_tiles[slot], b_tiles[slot]); });
  const float* weight =
      static_cast<const float*>(p.weight) +
      (static_cast<int64_t>(group) * p.out_channels + first_channel) * p.weight_row;
  keep_results(p, cores, row_out, in, weight, first_pixel, first_channel,
               static_cast<float*>(p.out) + static_cast<int64_t>(group) * p.out_channels);
}

}  // namespace mlx::core::kernels
