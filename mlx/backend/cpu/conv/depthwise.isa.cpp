// Kernels of depthwise convolutions.
#include "mlx/backend/cpu/conv/depthwise_kernels.h"

#include "mlx/backend/cpu/gemm/element.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kPixels = 4;  // that share a load of the weight

template <typename E, bool Full, typename Source>
static inline Vec<typename E::Lane> take(const Source* p, int n) {
  if constexpr (Full) {
    return E::load(p);
  } else {
    return load_some<E>(p, n);
  }
}

template <typename E, bool Full, int Pixels, typename Source>
static inline void weighted_sum(const DepthwiseRow& row, int64_t pixel, int64_t c, int n) {
  using Lane = typename E::Lane;
  Vec<Lane> sums[Pixels] = {};
  for (int64_t t = 0; t < row.taps; ++t) {
    auto in = static_cast<const Source*>(row.inputs[t]) + pixel * row.in_step + c;
    Vec<Lane> weight = take<Element<Lane>, Full>(static_cast<const Lane*>(row.weights[t]) + c, n);
#pragma GCC unroll 4
    for (int i = 0; i < Pixels; ++i) {
      sums[i] = fma<Lane>(take<E, Full>(in + i * row.in_step, n), weight, sums[i]);
    }
  }
  Source* out = static_cast<Source*>(row.out) + pixel * row.out_step + c;
#pragma GCC unroll 4
  for (int i = 0; i < Pixels; ++i) {
    if constexpr (Full) {
      E::store(out + i * row.out_step, sums[i]);
    } else {
      store_some<E>(out + i * row.out_step, sums[i], n);
    }
  }
}

template <typename E, bool Full, typename Source>
static inline void channel_block(const DepthwiseRow& row, int64_t c, int n) {
  int64_t p = 0;
  for (; p + kPixels <= row.pixels; p += kPixels) {
    weighted_sum<E, Full, kPixels, Source>(row, p, c, n);
  }
  for (; p < row.pixels; ++p) weighted_sum<E, Full, 1, Source>(row, p, c, n);
}

template <typename E, typename Source>
static void depthwise_row(const DepthwiseRow& row) {
  constexpr int lanes = E::kCount;
  int64_t c = 0;
  for (; c + lanes <= row.channels; c += lanes) channel_block<E, true, Source>(row, c, lanes);
  if (c < row.channels) {
    channel_block<E, false, Source>(row, c, static_cast<int>(row.channels - c));
  }
}

template <typename E, bool Full, typename Source>
static inline void product_block(const DepthwiseProducts& p, int64_t c, int n) {
  using Lane = typename E::Lane;
  auto in = static_cast<const Source*>(p.input) + c;
  auto cotangent = static_cast<const Source*>(p.cotangent) + c;
  Vec<Lane> even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 <= p.pixels; i += 2) {
    even = fma<Lane>(take<E, Full>(in + i * p.in_step, n),
                     take<E, Full>(cotangent + i * p.cotangent_step, n), even);
    odd = fma<Lane>(take<E, Full>(in + (i + 1) * p.in_step, n),
                    take<E, Full>(cotangent + (i + 1) * p.cotangent_step, n), odd);
  }
  if (i < p.pixels) {
    even = fma<Lane>(take<E, Full>(in + i * p.in_step, n),
                     take<E, Full>(cotangent + i * p.cotangent_step, n), even);
  }
  Lane* sums = static_cast<Lane*>(p.sums) + c;
  store_some<Element<Lane>>(sums, load_some<Element<Lane>>(sums, n) + even + odd, n);
}

template <typename E, typename Source>
static void depthwise_products(const DepthwiseProducts& p) {
  constexpr int lanes = E::kCount;
  int64_t c = 0;
  for (; c + lanes <= p.channels; c += lanes) product_block<E, true, Source>(p, c, lanes);
  if (c < p.channels) {
    product_block<E, false, Source>(p, c, static_cast<int>(p.channels - c));
  }
}

template <typename E, typename Source>
static void widen(const void* from, int64_t stride, int64_t count, void* to) {
  for (int64_t i = 0; i < count; ++i) {
    static_cast<typename E::Lane*>(to)[i] = E::get(static_cast<const Source*>(from) + i * stride);
  }
}

template <typename E, typename Source>
static void narrow(const void* from, int64_t count, void* to, int64_t stride) {
  for (int64_t i = 0; i < count; ++i) {
    E::put(static_cast<Source*>(to) + i * stride, static_cast<const typename E::Lane*>(from)[i]);
  }
}

template <typename Source, typename Lane>
static constexpr DepthwiseKernels depthwise_table() {
  using E = Element<Source, Lane>;
  return {sizeof(Lane), depthwise_row<E, Source>, depthwise_products<E, Source>, widen<E, Source>,
          narrow<E, Source>};
}

}  // namespace simd

const DepthwiseTables& depthwise_kernels() {
  using namespace simd;
  static constexpr DepthwiseTables tables = {
      depthwise_table<float, float>(), depthwise_table<double, double>(),
      depthwise_table<F16, float>(), depthwise_table<Bf16, float>()};
  return tables;
}

}  // namespace mlx::core::cpu::MLX_ISA
