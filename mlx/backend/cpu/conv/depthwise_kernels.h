// Tables of the depthwise kernels, plain so that every instruction set level can define them. They
// also take groups of a few channels, as many in as out, that lie side by side in a vector.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// Pixels of one output row: out[p] = sum over taps of weights[tap] * inputs[tap][p], each a row of
// channels. Steps between pixels in elements; weights have the type of the sums. With `run` > 1
// taps come in runs of so many, of which each reads one pixel further than the one before. With
// `group` > 1 a tap has so many rows of weights: the one at k meets the k-th channel of each group.
struct DepthwiseRow {
  const void* const* inputs;
  const void* const* weights;
  int64_t taps, run, group;
  int64_t channels;
  int64_t pixels;
  int64_t in_step, out_step;
  void* out;
};

// The weight's part of the derivative: sums[tap][channel] += sum over pixels of inputs[tap] *
// cotangent. Taps, runs and groups are as above, the sums being laid out as the weights are.
struct DepthwiseProducts {
  const void* const* inputs;
  void* const* sums;
  int64_t taps, run, group;
  const void* cotangent;
  int64_t channels;
  int64_t pixels;
  int64_t in_step, cotangent_step;
};

struct DepthwiseKernels {
  int sum_size;
  int lanes;  // groups have at most so many channels
  void (*row)(const DepthwiseRow& row);
  void (*products)(const DepthwiseProducts& products);
  void (*widen)(const void* from, int64_t stride, int64_t count, void* to);
  void (*narrow)(const void* from, int64_t count, void* to, int64_t stride);
};

struct DepthwiseTables {
  DepthwiseKernels f32, f64, f16, bf16;
};

// The lengths of runs that there are kernels for; others are runs of one.
constexpr bool is_depthwise_run(int64_t taps) { return taps == 3 || taps == 5 || taps == 7; }

// The sizes of groups that there are kernels for, where a vector has as many lanes.
constexpr bool is_depthwise_group(int64_t channels) {
  return channels == 1 || channels == 2 || channels == 4 || channels == 8;
}

MLX_ISA_TABLE(DepthwiseTables, depthwise_kernels)

}  // namespace mlx::core::cpu
