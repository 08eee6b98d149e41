// Rows of codes as the values that they stand for, bit for bit those of separate operations.
// Included only by quantized.isa.cpp.
#pragma once

#include "mlx/backend/cpu/quantized/scales.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// Codes as floats, with the sign of zeros.
template <typename Codes>
static inline void unpack_signed(const uint8_t* p, Vec<float> (&to)[kFloatParts]) {
  unpack_floats<Codes>(p, to);
  if constexpr (Codes::kIntegers && Codes::kPaired && Codes::kUnit != 1) {
    Shorts signs[kParts];
    Codes::unpack_signs(p, signs);
    constexpr auto top = static_cast<int32_t>(0x80000000);
#pragma GCC unroll 8
    for (int i = 0; i < kFloatParts; ++i) {
      Vec<float> pair[2];
      widen_shorts(signs[i / 2], pair[0], pair[1]);
      Vec<int32_t> sign = reinterpret_cast<Vec<int32_t>>(pair[i % 2]) & top;
      to[i] = reinterpret_cast<Vec<float>>(reinterpret_cast<Vec<int32_t>>(to[i]) | sign);
    }
  }
}

// Rounds to the storage type.
template <typename E, typename Out>
static inline Vec<float> rounded_to(Vec<float> v) {
  Out stored[kLanes<float>];
  E::store(stored, v);
  return E::load(stored);
}

template <typename Codes, typename E, typename Out>
static void dequantize_to(const QuantizedRows& w, float factor, Out* out) {
  constexpr int lanes = kLanes<float>, chunk = 1024;
  float scales[chunk / 16 + kGroupPadding], biases[chunk / 16 + kGroupPadding];
  for (int64_t k = 0; k < w.depth; k += kCodeBlock) {
    if (k % chunk == 0) {
      int64_t end = w.depth - k < chunk ? w.depth : k + chunk;
      int groups = static_cast<int>((end - k) / w.group);
      load_scales(w.scale, w.scales, k / w.group, groups, scales);
      if (w.biases) load_scales(w.scale, w.biases, k / w.group, groups, biases);
    }
    int64_t left = w.depth - k;
    uint8_t copy[kCodeBlock];
    Vec<float> values[kFloatParts];
    unpack_signed<Codes>(whole_block<Codes>(w.codes + k / 8 * Codes::kBits, left, copy), values);
#pragma GCC unroll 8
    for (int i = 0; i < kFloatParts; ++i) {
      if (i * lanes >= left) break;
      int64_t group = (k % chunk + i * lanes) / w.group;
      Vec<float> value = values[i] * splat(Codes::kUnit);
      if (w.biases) {
        value = rounded_to<E, Out>(value * splat(scales[group])) + splat(biases[group]);
      } else {
        value = value * splat(scales[group] * factor);
      }
      E::store(out + k + i * lanes, value);
    }
  }
}

template <typename Codes>
static void dequantize_row(const QuantizedRows& w, float factor, Dtype::Val dtype, void* out) {
  if (dtype == Dtype::Val::float32) {
    dequantize_to<Codes, Element<float>>(w, factor, static_cast<float*>(out));
  } else if (dtype == Dtype::Val::float16) {
    dequantize_to<Codes, Element<F16, float>>(w, factor, static_cast<F16*>(out));
  } else {
    dequantize_to<Codes, Element<Bf16, float>>(w, factor, static_cast<Bf16*>(out));
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
