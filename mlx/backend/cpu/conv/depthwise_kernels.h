// Tables of the depthwise kernels, plain so that every instruction set level can define them.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// Pixels of one output row: out[p] = sum over taps of weights[tap] * inputs[tap][p], each a row of
// channels. Steps between pixels in elements; weights have the type of the sums.
struct DepthwiseRow {
  const void* const* inputs;
  const void* const* weights;
  int64_t taps;
  int64_t channels;
  int64_t pixels;
  int64_t in_step, out_step;
  void* out;
};

// The weight's part of the derivative: sums[channel] += sum over pixels of input * cotangent.
struct DepthwiseProducts {
  const void* input;
  const void* cotangent;
  int64_t channels;
  int64_t pixels;
  int64_t in_step, cotangent_step;
  void* sums;
};

struct DepthwiseKernels {
  int sum_size;
  void (*row)(const DepthwiseRow& row);
  void (*products)(const DepthwiseProducts& products);
  void (*widen)(const void* from, int64_t stride, int64_t count, void* to);
  void (*narrow)(const void* from, int64_t count, void* to, int64_t stride);
};

struct DepthwiseTables {
  DepthwiseKernels f32, f64, f16, bf16;
};

MLX_ISA_TABLE(DepthwiseTables, depthwise_kernels)

}  // namespace mlx::core::cpu
