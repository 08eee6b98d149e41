// The weight's derivative as a product over output pixels: rows are output channels, columns
// (tap, channel). Blocks share the pixels out between them; their sums are added up afterwards.
#pragma once

#include "mlx/backend/cuda/kernels/conv_tile.h"
#include "mlx/backend/cuda/kernels/conv_walk.h"

namespace mlx::core::kernels {

/** Keeps a result for output channel `row` (of all groups) and `column` of the depth. */
template <typename T, typename C>
MLX_FN void keep_weight(const ConvPhase& p, int split, int64_t row, int column, C value) {
  if (p.splits == 1) {
    static_cast<T*>(p.weight)[row * p.weight_row + Tap(p, column).weight] = rounded<T>(value);
  } else {
    int64_t rows = static_cast<int64_t>(p.groups) * p.out_channels;
    static_cast<C*>(p.partial)[(split * rows + row) * p.depth() + column] = value;
  }
}

/** Adds up the parts of the pixels: a block for a few elements of the weight, one per column of its
 *  threads, whose rows share the parts. */
template <typename T>
MLX_FN void sum_weight_parts(const ConvPhase& p, BlockNumber block) {
  using C = Computed<T>;
  __shared__ C shared[32][32];
  int64_t index = block.last() * 32 + threadIdx.x;
  int64_t count = static_cast<int64_t>(p.groups) * p.out_channels * p.depth();
  const C* part = static_cast<const C*>(p.partial) + (index < count ? index : 0);
  C sum = 0;
#pragma unroll 4
  for (int split = static_cast<int>(threadIdx.y); split < p.splits; split += blockDim.y) {
    sum += part[split * count];
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || index >= count) return;
  for (unsigned i = 1; i < blockDim.y; i++) sum += shared[i][threadIdx.x];
  int64_t row = index / p.depth();
  int column = static_cast<int>(index - row * p.depth());
  static_cast<T*>(p.weight)[row * p.weight_row + Tap(p, column).weight] = rounded<T>(sum);
}

/** One sum over pixels in plain arithmetic. */
template <typename T>
__device__ __noinline__ Computed<T> plain_sum(const ConvPhase& p, const T* in, const T* cotangent,
                                              int column, int64_t first, int64_t last) {
  Tap tap(p, column);
  Computed<T> sum = 0;
  for (int64_t i = first; i < last; i++) {
    Pixel pixel(p, i);
    bool inside = is_inside(p, pixel.at, tap.at);
    Computed<T> x = inside ? computed(in[pixel.in + tap.in]) : Computed<T>(0);
    sum = madd(x, computed(cotangent[pixel.out]), sum);
  }
  return sum;
}

/** `wide`: both sorts of channels come in pieces of 16 bytes. A block per part of the pixels,
 * group, tile of output channels and tile of (tap, channel). */
template <typename T, bool wide, typename Shape>
MLX_FN void conv_weight(const ConvPhase& p, BlockNumber block) {
  using A = TileLayout<T, Shape::m, false>;
  using B = TileLayout<T, Shape::n, false>;
  constexpr int piece = wide ? 16 / sizeof(T) : 1, known = 128;
  constexpr int a_pieces = Shape::m / piece, b_pieces = Shape::n / piece;
  __shared__ __align__(16) T a_tiles[Shape::stages][A::size];
  __shared__ __align__(16) T b_tiles[Shape::stages][B::size];
  __shared__ int64_t pixel_in[known], pixel_out[known];
  __shared__ int32_t pixel_at[known][3];
  int depth = p.depth(), thread = static_cast<int>(threadIdx.x);
  int first_column = block.next(tiles_of(depth, Shape::n)) * Shape::n;
  int first_row = block.next(tiles_of(p.out_channels, Shape::m)) * Shape::m;
  int group = block.next(p.groups), split = static_cast<int>(block.last());
  int64_t first = split * p.split_pixels, last = first + p.split_pixels;
  last = last < p.pixels ? last : p.pixels;
  int64_t first_channel = static_cast<int64_t>(group) * p.out_channels + first_row;
  const T* in = static_cast<const T*>(p.in) + static_cast<int64_t>(group) * p.channels;
  const T* cotangent = static_cast<const T*>(p.out) + first_channel;
  int row = thread % a_pieces * piece, column = thread % b_pieces * piece;
  bool has_row = first_row + row < p.out_channels, has_column = first_column + column < depth;
  Tap tap(p, has_column ? first_column + column : 0);
  auto load = [&](int step, int slot) {
    int base = step * Shape::depth % known;
    if (base == 0) {
      __syncthreads();
      for (int i = thread; i < known; i += Shape::threads) {
        int64_t index = first + step * Shape::depth + i;
        Pixel pixel(p, index < last ? index : p.pixels);
        pixel_in[i] = pixel.in;
        pixel_out[i] = pixel.out;
#pragma unroll
        for (int axis = 0; axis < 3; axis++) pixel_at[i][axis] = pixel.at[axis];
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = thread / a_pieces; i < Shape::depth; i += Shape::threads / a_pieces) {
      copy_async<T, piece>(&a_tiles[slot][row + i * A::deep],
                           cotangent + (pixel_out[base + i] + row),
                           has_row && first + step * Shape::depth + i < last);
    }
#pragma unroll
    for (int i = thread / b_pieces; i < Shape::depth; i += Shape::threads / b_pieces) {
      copy_async<T, piece>(&b_tiles[slot][column + i * B::deep], in + (pixel_in[base + i] + tap.in),
                           has_column && is_inside(p, pixel_at[base + i], tap.at));
    }
  };
  Cores<T, Shape, A, B> cores;
  int steps = static_cast<int>((last - first + Shape::depth - 1) / Shape::depth);
  pipeline<Shape::stages>(steps, load,
                          [&](int slot) { cores.multiply(a_tiles[slot], b_tiles[slot]); });
  uint64_t broken = 0;  // results that may be so only because parts of infinities cancel
  cores.visit([&](int index, auto value) {
    auto [i, j] = cores.place(index);
    if (first_row + i >= p.out_channels || first_column + j >= depth) return;
    if (is_same<T, float> && value != value) broken |= uint64_t(1) << index;
    keep_weight<T>(p, split, first_channel + i, first_column + j, value);
  });
  for (; broken != 0; broken &= broken - 1) {
    auto [i, j] = cores.place(__ffsll(static_cast<int64_t>(broken)) - 1);
    keep_weight<T>(p, split, first_channel + i, first_column + j,
                   plain_sum(p, in, cotangent + i, first_column + j, first, last));
  }
}

}  // namespace mlx::core::kernels
