// Quantising a matrix in one pass: eight values per thread, and the threads of a group agree on its
// scale. The roundings are those of the plain form.
#pragma once

#include "mlx/backend/cuda/kernels/quantized_call.h"
#include "mlx/backend/cuda/kernels/quantized_codes.h"
#include "mlx/kernels/elementwise.h"

namespace mlx::core::kernels {

/** The combination of what the `lanes` neighbours of a group have. */
template <int lanes, typename F>
MLX_FN float combined(float x, F combine) {
#pragma unroll
  for (int step = lanes / 2; step > 0; step /= 2) {
    x = combine(x, __shfl_xor_sync(~0u, x, step));
  }
  return x;
}

template <int bits>
inline constexpr float most_code = (1 << bits) - 1;

/** The scale and bias of a group of these values; NaN is passed over. */
template <int bits, int lanes>
MLX_FN AffineGroup fit_integers(const float (&x)[8]) {
  float high = -inf_f, low = inf_f;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    high = x[i] > high ? x[i] : high;
    low = x[i] < low ? x[i] : low;
  }
  high = combined<lanes>(high, [](float a, float b) { return b > a ? b : a; });
  low = combined<lanes>(low, [](float a, float b) { return b < a ? b : a; });
  return affine_group(low, high, most_code<bits>);
}

/** The byte of a group's scale, and that as T has it. */
template <typename T, typename F>
MLX_FN float fit_floats(const float (&x)[8], float global, bool scaled, uint8_t& stored) {
  float largest = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) largest = op::Maximum::apply(largest, fabs(x[i]));
  largest =
      combined<F::group / 8>(largest, [](float a, float b) { return op::Maximum::apply(a, b); });
  if (!is_finite(largest)) largest = nan_f;
  constexpr float limit = F::bits == 4 ? largest_fp4 : largest_fp8;
  float ratio = computed(rounded<T>(largest / limit));
  if (scaled) ratio = ratio / global;
  constexpr bool powers = F::mode != QuantizedMode::nvfp4;
  stored = static_cast<uint8_t>(powers ? encode_e8m0(ratio) : to_fp8(ratio));
  return computed(rounded<T>(scale_of<T, F>(stored)));
}

template <typename T, int bits>
MLX_FN uint32_t float_code(float x, float factor, float global, bool scaled) {
  float unit = factor == 0 ? 0.0f : computed(rounded<T>(x / factor));
  if (scaled) unit = unit / global;
  return bits == 4 ? encode_fp4(unit) : uint32_t{to_fp8(unit)};
}

/** Eight codes follow each other in as many bytes as each has bits. */
template <int bits>
MLX_FN void store_codes(void* to, int64_t eight, const uint32_t (&codes)[8]) {
  uint64_t all = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) all |= uint64_t{codes[i]} << (i * bits);
  if constexpr (bits == 8) {
    static_cast<uint64_t*>(to)[eight] = all;
  } else if constexpr (bits == 4) {
    static_cast<uint32_t*>(to)[eight] = static_cast<uint32_t>(all);
  } else {
#pragma unroll
    for (int i = 0; i < bits; i++) {
      static_cast<uint8_t*>(to)[eight * bits + i] = static_cast<uint8_t>(all >> (8 * i));
    }
  }
}

template <typename T, typename F>
MLX_FN void quantized_pack(const QuantizedPacking& p) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  bool exists = i < p.count / 8;
  Pack<T, 8> values = exists ? *(static_cast<const Pack<T, 8>*>(p.numbers) + i) : Pack<T, 8>{};
  float x[8];
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = computed(values.at[j]);
  constexpr int lanes = F::group / 8;
  bool first = exists && i % lanes == 0;
  uint32_t codes[8];
  if constexpr (F::affine) {
    AffineGroup group = fit_integers<F::bits, lanes>(x);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      codes[j] = static_cast<uint32_t>(affine_code(x[j], group, most_code<F::bits>));
    }
    if (first) {
      static_cast<T*>(p.scales)[i / lanes] = rounded<T>(group.scale);
      static_cast<T*>(p.biases)[i / lanes] = rounded<T>(group.bias);
    }
  } else {
    bool scaled = p.global_scale && exists;
    float global = scaled ? global_factor(p.global_scale[i * 8 / p.matrix * p.global_batch]) : 1.0f;
    uint8_t stored;
    float factor = fit_floats<T, F>(x, global, scaled, stored);
#pragma unroll
    for (int j = 0; j < 8; j++) codes[j] = float_code<T, F::bits>(x[j], factor, global, scaled);
    if (first) static_cast<uint8_t*>(p.scales)[i / lanes] = stored;
  }
  if (exists) store_codes<F::bits>(p.packed, i, codes);
}

}  // namespace mlx::core::kernels
