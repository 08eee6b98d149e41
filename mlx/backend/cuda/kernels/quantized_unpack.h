// Quantised matrices as numbers, eight codes per thread, with the roundings of the plain form.
#pragma once

#include "mlx/backend/cuda/kernels/quantized_call.h"
#include "mlx/backend/cuda/kernels/quantized_codes.h"

namespace mlx::core::kernels {

/** Codes 0 .. 7 in order. */
template <int bits>
MLX_FN uint32_t code_of(EightCodes codes, int i) {
  uint32_t four = i < 4 ? codes.first : codes.last;
  return (four >> (i % 4 * bits)) & ((1u << bits) - 1);
}

/** A code of e2m1 or e4m3. */
template <int bits>
MLX_FN float small_float(uint32_t code) {
  return bits == 4 ? decode_fp4(code) : from_fp8(static_cast<uint8_t>(code));
}

/** Eight neighbours, in accesses of 16 bytes. */
template <typename T>
MLX_FN void store_eight(void* data, int64_t first, const Pack<T, 8>& pack) {
  constexpr int each = 16 / sizeof(T) < 8 ? 16 / sizeof(T) : 8;
#pragma unroll
  for (int i = 0; i < 8; i += each) {
    Pack<T, each> part;
#pragma unroll
    for (int j = 0; j < each; j++) part.at[j] = pack.at[i + j];
    store_pack<T, each>(data, first + i, part);
  }
}

/** R: the dtype of the result; S: that of an affine format's scales, to which steps are rounded. */
template <typename R, typename S, typename F>
MLX_FN void quantized_unpack(const QuantizedMatrix& p) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= p.count / 8) return;
  const auto* words = static_cast<const uint32_t*>(p.packed) + i / 4 * F::bits;
  EightCodes codes = load_codes<F::bits>(words, static_cast<int>(i % 4));
  int64_t group = i * 8 / F::group;
  StoredScale<S, F> stored = static_cast<const StoredScale<S, F>*>(p.scales)[group];
  float scale = scale_of<S, F>(stored), bias = 0;
  if constexpr (F::affine) {
    bias = computed(static_cast<const S*>(p.biases)[group]);
  } else if (p.global_scale) {
    scale = scale * global_factor(p.global_scale[i * 8 / p.matrix * p.global_batch]);
  }
  Pack<R, 8> numbers;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    uint32_t code = code_of<F::bits>(codes, j);
    if constexpr (F::affine) {
      float scaled = computed(rounded<S>(static_cast<float>(code) * scale));
      numbers.at[j] = rounded<R>(computed(rounded<S>(scaled + bias)));
    } else {
      numbers.at[j] = rounded<R>(small_float<F::bits>(code) * scale);
    }
  }
  store_eight<R>(p.numbers, i * 8, numbers);
}

}  // namespace mlx::core::kernels
