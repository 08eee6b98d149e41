// Scales and biases of any storage type as floats. Included only by *.isa.cpp files.
#pragma once

#include "mlx/backend/cpu/gemm/element.h"
#include "mlx/backend/cpu/quantized/codes.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// Powers of two from 2^-127 to 2^127; the last code is infinite.
struct E8m0Scale {
  using Lane = float;
  static inline Vec<float> load(const uint8_t* p) {
    Vec<int32_t> code = E4m3::widen(p);
    Vec<int32_t> bits = (code << 23) | ((code == 0) & (1 << 22));
    return reinterpret_cast<Vec<float>>(bits);
  }
};

struct E4m3Scale {
  using Lane = float;
  static inline Vec<float> load(const uint8_t* p) { return E4m3::values(E4m3::widen(p)); }
};

template <typename E, typename Source>
static void widen_scales(const void* from, int64_t begin, int n, float* to, int64_t next) {
  auto p = static_cast<const Source*>(from) + begin;
  constexpr int lanes = kLanes<float>;
  int i = 0;
  for (; i + lanes <= n; i += lanes) {
    __builtin_prefetch(p + i + next);
    store<float>(to + i, E::load(p + i));
  }
  if (i < n) store<float>(to + i, load_some<E>(p + i, n - i));
}

// to[i] = entry begin + i for i < n, and up to a vector of anything behind them. Those that are
// needed next lie `next` entries further on.
[[gnu::noinline]] static void load_scales(Scale scale, const void* from, int64_t begin, int n,
                                          float* to, int64_t next = 0) {
  switch (scale) {
    case Scale::f32:
      return widen_scales<Element<float>, float>(from, begin, n, to, next);
    case Scale::f16:
      return widen_scales<Element<F16, float>, F16>(from, begin, n, to, next);
    case Scale::bf16:
      return widen_scales<Element<Bf16, float>, Bf16>(from, begin, n, to, next);
    case Scale::e8m0:
      return widen_scales<E8m0Scale, uint8_t>(from, begin, n, to, next);
    case Scale::e4m3:
      return widen_scales<E4m3Scale, uint8_t>(from, begin, n, to, next);
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
