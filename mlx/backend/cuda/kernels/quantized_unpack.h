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

/** Eight codes of an affine format as half floats, in packed arithmetic: a step is exact, its
 * product with the scale is rounded, and so is the sum with the bias. */
template <typename T, typename F>
MLX_FN Pack<T, 8> half_numbers(EightCodes codes, T scale, T bias) {
  uint32_t by = scale.bits * 0x10001u, add = bias.bits * 0x10001u, pair[4];
#pragma unroll
  for (int j = 0; j < 4; j++) {
    uint32_t code = integer_pair<T, F::bits>(code_pair<F::bits>(codes, j));
    pair[j] = fma_pair<T>(fma_pair<T>(code, by, pair_of_zeros), pair_of_ones<T>(), add);
  }
  uint4 words = {lower_halves(pair[0], pair[1]), lower_halves(pair[2], pair[3]),
                 upper_halves(pair[0], pair[1]), upper_halves(pair[2], pair[3])};
  return __builtin_bit_cast(Pack<T, 8>, words);
}

/** The same for any types; `scale` is the factor of the group. */
template <typename R, typename S, typename F>
MLX_FN Pack<R, 8> numbers_of(EightCodes codes, float scale, float bias) {
  Pack<R, 8> numbers;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    uint32_t code = code_of<F::bits>(codes, j);
    if constexpr (F::affine) {
      float scaled = as_stored<S>(static_cast<float>(code) * scale);
      numbers.at[j] = rounded<R>(as_stored<S>(scaled + bias));
    } else {
      numbers.at[j] = rounded<R>(small_float<F::bits>(code) * scale);
    }
  }
  return numbers;
}

/** R: the dtype of the result; S: that of an affine format's scales, to which steps are rounded. */
template <typename R, typename S, typename F>
MLX_FN void unpack_eight(const QuantizedMatrix& p, int64_t i) {
  const auto* words = static_cast<const uint32_t*>(p.packed) + i / 4 * F::bits;
  EightCodes codes = load_codes<F::bits>(words, static_cast<int>(i % 4));
  int64_t group = i * 8 / F::group;
  StoredScale<S, F> stored = static_cast<const StoredScale<S, F>*>(p.scales)[group];
  if constexpr (F::affine) {
    S bias = static_cast<const S*>(p.biases)[group];
    if constexpr (is_same<R, S> && is_half<R>) {
      store_eight<R>(p.numbers, i * 8, half_numbers<R, F>(codes, stored, bias));
    } else {
      store_eight<R>(p.numbers, i * 8,
                     numbers_of<R, S, F>(codes, computed(stored), computed(bias)));
    }
  } else {
    float scale = scale_of<S, F>(stored);
    if (p.global_scale) {
      scale = scale * global_factor(p.global_scale[i * 8 / p.matrix * p.global_batch]);
    }
    store_eight<R>(p.numbers, i * 8, numbers_of<R, S, F>(codes, scale, 0));
  }
}

template <typename R, typename S, typename F>
MLX_FN void quantized_unpack(const QuantizedMatrix& p) {
  int64_t first = int64_t{blockIdx.x} * quantized_unpack_each * blockDim.x + threadIdx.x;
#pragma unroll
  for (int j = 0; j < quantized_unpack_each; j++) {
    int64_t i = first + j * static_cast<int64_t>(blockDim.x);
    if (i < p.count / 8) unpack_eight<R, S, F>(p, i);
  }
}

}  // namespace mlx::core::kernels
