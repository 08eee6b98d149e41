// Convolutions whose groups are one channel: no products to share, so threads read the image
// directly, several channels at a time.
#pragma once

#include "mlx/backend/cuda/kernels/conv_weight.h"

namespace mlx::core::kernels {

constexpr int depthwise_lanes = 32, depthwise_threads = 256, depthwise_pixels = 4;

/** Weights of up to `chunk` taps, each with the channels of the block side by side. */
template <typename T, int N, int chunk>
struct DepthwiseWeights {
  alignas(16) T at[chunk][depthwise_lanes * N];
  Tap taps[chunk];

  /** Takes `count` taps from number `start` on, in all threads of the block. */
  MLX_FN void take(const ConvPhase& p, int start, int count, int first_channel) {
    constexpr int shares = (chunk * depthwise_lanes * N - 1) / depthwise_threads + 1;
    int outputs = p.groups * p.out_channels, width = static_cast<int>(blockDim.x) * N;
    int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
    __syncthreads();
    if (thread < count) taps[thread] = Tap(p, start + thread);
    __syncthreads();
    T read[shares];  // all on their way before the first is waited for
#pragma unroll
    for (int k = 0; k < shares; k++) {
      int i = thread + k * depthwise_threads, c = i / chunk, t = i - c * chunk;
      bool exists = c < width && t < count && first_channel + c < outputs;
      read[k] =
          exists
              ? static_cast<const T*>(p.weight)[(first_channel + c) * p.weight_row + taps[t].weight]
              : T{};
    }
#pragma unroll
    for (int k = 0; k < shares; k++) {
      int i = thread + k * depthwise_threads, c = i / chunk;
      if (c < width) at[i - c * chunk][c] = read[k];
    }
    __syncthreads();
  }

  MLX_FN Pack<T, N> of(int tap) const {
    return load_pack<T, N>(at[tap], static_cast<int>(threadIdx.x) * N);
  }
};

/** Where a thread works: the block's first channel, its own, whether that exists, its first pixel,
 *  and where its channel of the image begins. */
template <typename T, int N>
struct DepthwisePlace {
  int first_channel, channel;
  bool exists;
  int64_t first;
  const T* in;

  MLX_FN DepthwisePlace(const ConvPhase& p, BlockNumber& block) {
    int outputs = p.groups * p.out_channels, width = static_cast<int>(blockDim.x) * N;
    first_channel = block.next(tiles_of(outputs, width)) * width;
    channel = first_channel + static_cast<int>(threadIdx.x) * N;
    exists = channel < outputs;
    first = (block.last() * blockDim.y + threadIdx.y) * depthwise_pixels;
    in = static_cast<const T*>(p.in) + (exists ? channel / p.out_channels : 0);
  }
};

template <typename T, int N>
MLX_FN void store_sums(const ConvPhase& p, int64_t at, const Computed<T> (&sums)[N]) {
  Pack<T, N> result;
#pragma unroll
  for (int n = 0; n < N; n++) result.at[n] = rounded<T>(sums[n]);
  store_pack<T, N>(p.out, at, result);
}

/** A block per tile of pixels and tile of output channels; N > 1 where those are input channels.
 *  Along x, threads share out channels, at most 32; along y, pixels. */
template <typename T, int N>
MLX_FN void conv_depthwise(const ConvPhase& p, BlockNumber block) {
  using C = Computed<T>;
  constexpr int chunk = 9;
  __shared__ DepthwiseWeights<T, N, chunk> weights;
  const DepthwisePlace<T, N> own(p, block);
  Pixel pixels[depthwise_pixels];
  C sums[depthwise_pixels][N] = {};
#pragma unroll
  for (int i = 0; i < depthwise_pixels; i++) {
    pixels[i] = Pixel(p, own.exists ? own.first + i : p.pixels);
  }
  for (int start = 0; start < p.depth(); start += chunk) {
    int count = p.depth() - start < chunk ? p.depth() - start : chunk;
    weights.take(p, start, count, own.first_channel);
#pragma unroll 3
    for (int t = 0; t < count; t++) {
      Tap tap = weights.taps[t];
      Pack<T, N> x[depthwise_pixels] = {};
#pragma unroll
      for (int i = 0; i < depthwise_pixels; i++) {
        if (is_inside(p, pixels[i].at, tap.at)) {
          x[i] = load_pack<T, N>(own.in, pixels[i].in + tap.in);
        }
      }
      auto weight = weights.of(t);
#pragma unroll
      for (int i = 0; i < depthwise_pixels; i++) {
#pragma unroll
        for (int n = 0; n < N; n++) {
          sums[i][n] = madd(computed(x[i].at[n]), computed(weight.at[n]), sums[i][n]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < depthwise_pixels; i++) {
    if (own.first + i < p.pixels && own.exists) {
      store_sums<T, N>(p, pixels[i].out + own.channel, sums[i]);
    }
  }
}

/** The same where a thread's pixels are neighbours along the last axis and so is what the `K` taps
 *  of that axis read: what several pixels read is loaded once. */
template <typename T, int N, int K>
MLX_FN void conv_depthwise_lines(const ConvPhase& p, BlockNumber block) {
  using C = Computed<T>;
  constexpr int lines = K < 9 ? 9 / K : 1, chunk = lines * K, columns = K + depthwise_pixels - 1;
  __shared__ DepthwiseWeights<T, N, chunk> weights;
  const DepthwisePlace<T, N> own(p, block);
  Pixel pixel(p, own.exists ? own.first : p.pixels);
  C sums[depthwise_pixels][N] = {};
  for (int start = 0; start < p.depth(); start += chunk) {
    int count = p.depth() - start < chunk ? p.depth() - start : chunk;
    weights.take(p, start, count, own.first_channel);
#pragma unroll
    for (int line = 0; line < lines; line++) {
      if (line * K >= count) break;
      Tap tap = weights.taps[line * K];
      Pack<T, N> x[columns] = {};
#pragma unroll
      for (int j = 0; j < columns; j++) {
        if (is_inside(p, pixel.at, tap.at)) {
          x[j] = load_pack<T, N>(own.in, pixel.in + tap.in + j * p.axes[2].in_stride);
        }
        tap.at[2]++;
      }
#pragma unroll
      for (int t = 0; t < K; t++) {
        auto weight = weights.of(line * K + t);
#pragma unroll
        for (int i = 0; i < depthwise_pixels; i++) {
#pragma unroll
          for (int n = 0; n < N; n++) {
            sums[i][n] = madd(computed(x[i + t].at[n]), computed(weight.at[n]), sums[i][n]);
          }
        }
      }
    }
  }
  if (own.first >= p.pixels || !own.exists) return;
#pragma unroll
  for (int i = 0; i < depthwise_pixels; i++) {
    store_sums<T, N>(p, pixel.out + i * p.axes[2].step * p.out_strides[2] + own.channel, sums[i]);
  }
}

/** A block per part of the pixels, few taps and tile of output channels. */
template <typename T, int N>
MLX_FN void conv_depthwise_weight(const ConvPhase& p, BlockNumber block) {
  using C = Computed<T>;
  constexpr int chunk = 9;
  __shared__ Tap taps[chunk];
  __shared__ C shared[depthwise_threads * N];
  int outputs = p.groups * p.out_channels, width = static_cast<int>(blockDim.x) * N;
  int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  int first_channel = block.next(tiles_of(outputs, width)) * width;
  int start = block.next(tiles_of(p.depth(), chunk)) * chunk;
  int split = static_cast<int>(block.last());
  int channel = first_channel + static_cast<int>(threadIdx.x) * N;
  int count = p.depth() - start < chunk ? p.depth() - start : chunk;
  if (thread < count) taps[thread] = Tap(p, start + thread);
  __syncthreads();
  bool exists = channel < outputs;
  const T* in = static_cast<const T*>(p.in) + (exists ? channel / p.out_channels : 0);
  C sums[chunk][N] = {};
  int64_t first = split * p.split_pixels, last = first + p.split_pixels;
  last = last < p.pixels ? last : p.pixels;
  for (int64_t i = first + threadIdx.y; i < last && exists; i += blockDim.y) {
    Pixel pixel(p, i);
    auto cotangent = load_pack<T, N>(p.out, pixel.out + channel);
    Pack<T, N> x[chunk] = {};
#pragma unroll
    for (int t = 0; t < chunk; t++) {
      if (t < count && is_inside(p, pixel.at, taps[t].at)) {
        x[t] = load_pack<T, N>(in, pixel.in + taps[t].in);
      }
    }
#pragma unroll
    for (int t = 0; t < chunk; t++) {
#pragma unroll
      for (int n = 0; n < N; n++) {
        sums[t][n] = madd(computed(x[t].at[n]), computed(cotangent.at[n]), sums[t][n]);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < chunk; t++) {
    if (t >= count) break;
    __syncthreads();
#pragma unroll
    for (int n = 0; n < N; n++) shared[thread * N + n] = sums[t][n];
    __syncthreads();
    for (int c = thread; c < width && first_channel + c < outputs; c += depthwise_threads) {
      C sum = 0;
      for (int i = c; i < depthwise_threads * N; i += width) sum += shared[i];
      keep_weight<T>(p, split, first_channel + c, start + t, sum);
    }
  }
}

}  // namespace mlx::core::kernels
