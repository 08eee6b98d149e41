// Convolutions as products of patches, which only ever exist in shared memory, with the weight:
// rows are output pixels, columns output channels, and the depth runs over (tap, channel).
#pragma once

#include "mlx/backend/cuda/kernels/conv_tile.h"
#include "mlx/backend/cuda/kernels/conv_walk.h"

namespace mlx::core::kernels {

/** One result in plain arithmetic. */
template <typename T>
__device__ __noinline__ Computed<T> plain_result(const ConvPhase& p, const T* in, const T* weight,
                                                 int64_t pixel, int depth) {
  Pixel at(p, pixel);
  Computed<T> sum = 0;
  for (int k = 0; k < depth; k++) {
    Tap tap(p, k);
    Computed<T> x = is_inside(p, at.at, tap.at) ? computed(in[at.in + tap.in]) : Computed<T>(0);
    sum = madd(x, computed(weight[tap.weight]), sum);
  }
  return sum;
}

/** Writes the results of a block. `weight` is that of the block's first output channel, `out` of
 * the group's; `row_out` says where the rows' pixels lie in it. */
template <typename T, typename Cores>
MLX_FN void keep_results(const ConvPhase& p, const Cores& cores, const int64_t* row_out,
                         const T* in, const T* weight, int64_t first_pixel, int first_channel,
                         T* out) {
  uint64_t broken = 0;  // results that may be so only because parts of infinities cancel
  cores.visit([&](int index, auto value) {
    auto [row, column] = cores.place(index);
    if (first_pixel + row >= p.pixels || first_channel + column >= p.out_channels) return;
    if (is_same<T, float> && value != value) broken |= uint64_t(1) << index;
    out[row_out[row] + first_channel + column] = rounded<T>(value);
  });
  for (; broken != 0; broken &= broken - 1) {
    auto [row, column] = cores.place(__ffsll(static_cast<int64_t>(broken)) - 1);
    out[row_out[row] + first_channel + column] = rounded<T>(
        plain_result(p, in, weight + column * p.weight_row, first_pixel + row, p.depth()));
  }
}

/** `wide`: channels come in pieces of 16 bytes. A block per tile of pixels, group and tile of
 * output channels. */
template <typename T, bool wide, typename Shape>
MLX_FN void conv_gemm(const ConvPhase& p, BlockNumber block) {
  using A = TileLayout<T, Shape::m, true>;
  using B = TileLayout<T, Shape::n, true>;
  constexpr int piece = wide ? 16 / sizeof(T) : 1, pieces = Shape::depth / piece;
  constexpr int apart = Shape::threads / pieces, a_rows = Shape::m / apart;
  __shared__ __align__(16) T a_tiles[Shape::stages][A::size];
  __shared__ __align__(16) T b_tiles[Shape::stages][B::size];
  __shared__ int64_t row_out[Shape::m];
  int first_channel = block.next(tiles_of(p.out_channels, Shape::n)) * Shape::n;
  int group = block.next(p.groups);
  int64_t first_pixel = block.last() * Shape::m;
  if (first_pixel >= p.pixels) return;
  int thread = static_cast<int>(threadIdx.x), deep = thread % pieces * piece, depth = p.depth();
  for (int i = thread; i < Shape::m; i += Shape::threads) {
    row_out[i] = Pixel(p, first_pixel + i).out;
  }
  const T* in = static_cast<const T*>(p.in) + static_cast<int64_t>(group) * p.channels;
  const T* weight = static_cast<const T*>(p.weight) +
                    (static_cast<int64_t>(group) * p.out_channels + first_channel) * p.weight_row;
  Pixel pixels[a_rows];
  const T* rows[a_rows];
#pragma unroll
  for (int i = 0; i < a_rows; i++) {
    pixels[i] = Pixel(p, first_pixel + thread / pieces + i * apart);
    rows[i] = in + pixels[i].in;
  }
  const T* columns = weight + thread / pieces * p.weight_row;
  auto load = [&](int step, int slot) {
    int k = step * Shape::depth + deep;
    bool exists = k < depth;
    Tap tap(p, k);
    T* to = &a_tiles[slot][thread / pieces * A::along + deep];
#pragma unroll
    for (int i = 0; i < a_rows; i++) {
      copy_async<T, piece>(to + i * apart * A::along, rows[i] + tap.in,
                           exists && is_inside(p, pixels[i].at, tap.at));
    }
    const T* from = columns + tap.weight;
    to = &b_tiles[slot][thread / pieces * B::along + deep];
#pragma unroll
    for (int row = thread / pieces; row < Shape::n; row += apart) {
      copy_async<T, piece>(to, from, exists && first_channel + row < p.out_channels);
      from += apart * p.weight_row;
      to += apart * B::along;
    }
  };
  Cores<T, Shape, A, B> cores;
  pipeline<Shape::stages>((depth + Shape::depth - 1) / Shape::depth, load,
                          [&](int slot) { cores.multiply(a_tiles[slot], b_tiles[slot]); });
  keep_results<T>(p, cores, row_out, in, weight, first_pixel, first_channel,
                  static_cast<T*>(p.out) + static_cast<int64_t>(group) * p.out_channels);
}

}  // namespace mlx::core::kernels
