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

/** The scale and bias of a group of these values. */
template <int bits, int lanes>
MLX_FN void fit_integers(const float (&x)[8], float& scale, float& bias) {
  constexpr float smallest_step = 1e-7f;
  float high = -inf_f, low = inf_f;
#pragma unroll
  for (int i = 0; i < 8; i++) {  // NaN is passed over
    high = x[i] > high ? x[i] : high;
    low = x[i] < low ? x[i] : low;
  }
  high = combined<lanes>(high, [](float a, float b) { return b > a ? b : a; });
  low = combined<lanes>(low, [](float a, float b) { return b < a ? b : a; });
  scale = op::Maximum::apply((high - low) / float((1 << bits) - 1), smallest_step);
  bias = low;
  if constexpr (bits > 1) {  // the value farthest from zero is met exactly, and so is zero
    bool below = fabs(low) > fabs(high);
    float edge = below ? low : high;
    scale = below ? scale : -scale;
    float at = rint(edge / scale);
    if (at != 0) scale = edge / at;
    bias = at != 0 ? edge : 0.0f;
  }
}

template <int bits>
MLX_FN uint32_t integer_code(float x, float scale, float bias) {
  float code = rint((x - bias) / scale), most = float((1 << bits) - 1);
  return static_cast<uint32_t>(code > 0 ? code < most ? code : most : 0.0f);
}

/** The smallest power of two that is not below x, as a byte. */
MLX_FN uint32_t power_code(float x) {
  uint32_t bits = to_bits(x), exponent = bits >> 23;
  uint32_t code = exponent + ((bits & 0x7fffffu) > (exponent == 0 ? 0x400000u : 0u));
  return x == 0 ? 127 : code < 255 ? code : 255;
}

/** The nearest number of e2m1, the smaller one in the middle. */
MLX_FN uint32_t fp4_code(float x) {
  float size = fabs(x);
  uint32_t code = uint32_t{size > 0.25f} + (size > 0.75f) + (size > 1.25f) + (size > 1.75f) +
                  (size > 2.5f) + (size > 3.5f) + (size > 5.0f);
  return x < 0 && code != 0 ? code | 8 : code;
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
  constexpr float limit = F::bits == 4 ? 6.0f : 448.0f;
  float ratio = computed(rounded<T>(largest / limit));
  if (scaled) ratio = ratio / global;
  constexpr bool powers = F::mode != QuantizedMode::nvfp4;
  stored = static_cast<uint8_t>(powers ? power_code(ratio) : to_fp8(ratio));
  return computed(rounded<T>(scale_of<T, F>(stored)));
}

template <typename T, int bits>
MLX_FN uint32_t float_code(float x, float factor, float global, bool scaled) {
  float unit = factor == 0 ? 0.0f : computed(rounded<T>(x / factor));
  if (scaled) unit = unit / global;
  return bits == 4 ? fp4_code(unit) : uint32_t{to_fp8(unit)};
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
    float scale, bias;
    fit_integers<F::bits, lanes>(x, scale, bias);
#pragma unroll
    for (int j = 0; j < 8; j++) codes[j] = integer_code<F::bits>(x[j], scale, bias);
    if (first) {
      static_cast<T*>(p.scales)[i / lanes] = rounded<T>(scale);
      static_cast<T*>(p.biases)[i / lanes] = rounded<T>(bias);
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
