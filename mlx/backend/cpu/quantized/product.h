// Products of dense rows with one quantised matrix.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/quantized/kernels.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

// Rows of x times a quantised matrix of n rows of k codes (transposed) or k rows of n codes, times
// `factor`. Rows of x and of the output are contiguous and start where the offsets, in elements,
// say. x and the output have the dtype f32, f16 or bf16.
struct QuantizedProduct {
  Dtype dtype = float32;
  const void* x = nullptr;
  const int64_t* x_rows = nullptr;
  void* out = nullptr;
  const int64_t* out_rows = nullptr;
  int64_t m = 0, n = 0, k = 0;
  QuantizedRows w = {};
  Code code = Code::u4;
  bool transposed = true;
  float factor = 1;
};

// Runs the product on the threads. Sums are f32, of exact products with the dequantised values, but
// where rounding is allowed (see activation_rounding): more than eight rows of bf16 are multiplied
// by AMX, where there is it, with values that are rounded to bf16, an error of at most 2^-8 of each
// product (and none where codes are floats); else, where x is f16 or bf16 and the matrix
// transposed, x is rounded within each group to 1.004 * 2^-16 of its largest, an error below that
// times the sum over the groups of max |x| * sum |w|.
void multiply_quantized(const QuantizedProduct& product);

// The rows of `w` from `row` on.
QuantizedRows rows_from(const QuantizedRows& w, int64_t row);

// Whether activations of f16 and bf16, or what they are multiplied with, may be rounded. By default
// they may, unless the environment variable MLX_ROUND_ACTIVATIONS is 0.
bool activation_rounding();

// Changes activation_rounding() for the products that start from now on; returns what it was.
bool set_activation_rounding(bool allowed);

}  // namespace mlx::core::cpu
