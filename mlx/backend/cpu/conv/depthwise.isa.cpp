// Kernels of depthwise convolutions.
#include <type_traits>

#include "mlx/backend/cpu/conv/depthwise_kernels.h"
#include "mlx/backend/cpu/gemm/take.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kPixels = 4;  // that share a load of the weight

// Pixels [pixel, pixel + Pixels): each input is loaded once for all taps of a run that read it.
template <typename E, bool Full, int Run, int Pixels, typename Source>
static inline void weighted_sum(const DepthwiseRow& row, int64_t pixel, int64_t c, int n) {
  using Lane = typename E::Lane;
  Vec<Lane> sums[Pixels] = {};
  for (int64_t t = 0; t < row.taps; t += Run) {
    auto in = static_cast<const Source*>(row.inputs[t]) + pixel * row.in_step + c;
    Vec<Lane> weights[Run];
#pragma GCC unroll 8
    for (int k = 0; k < Run; ++k) {
      weights[k] = take<Element<Lane>, Full>(static_cast<const Lane*>(row.weights[t + k]) + c, n);
    }
#pragma GCC unroll 16
    for (int i = 0; i < Pixels + Run - 1; ++i) {
      Vec<Lane> x = take<E, Full>(in + i * row.in_step, n);
#pragma GCC unroll 8
      for (int k = 0; k < Run; ++k) {
        if (i >= k && i - k < Pixels) sums[i - k] = fma<Lane>(x, weights[k], sums[i - k]);
      }
    }
  }
  Source* out = static_cast<Source*>(row.out) + pixel * row.out_step + c;
#pragma GCC unroll 4
  for (int i = 0; i < Pixels; ++i) put<E, Full>(out + i * row.out_step, sums[i], n);
}

template <typename E, int Run, int Pixels, typename Source>
static inline void pixel_block(const DepthwiseRow& row, int64_t pixel) {
  constexpr int lanes = E::kCount;
  int64_t c = 0;
  for (; c + lanes <= row.channels; c += lanes) {
    weighted_sum<E, true, Run, Pixels, Source>(row, pixel, c, lanes);
  }
  if (c < row.channels) {
    weighted_sum<E, false, Run, Pixels, Source>(row, pixel, c, static_cast<int>(row.channels - c));
  }
}

template <typename E, int Run, typename Source>
static void depthwise_runs(const DepthwiseRow& row) {
  int64_t p = 0;
  for (; p + kPixels <= row.pixels; p += kPixels) pixel_block<E, Run, kPixels, Source>(row, p);
  for (; p < row.pixels; ++p) pixel_block<E, Run, 1, Source>(row, p);
}

template <typename E, typename Source>
static void depthwise_row(const DepthwiseRow& row) {
  switch (row.run) {
    case 3:
      return depthwise_runs<E, 3, Source>(row);
    case 5:
      return depthwise_runs<E, 5, Source>(row);
    case 7:
      return depthwise_runs<E, 7, Source>(row);
    default:
      return depthwise_runs<E, 1, Source>(row);
  }
}

// Adds the products of Pixels pixels to the sums of Runs runs of taps.
template <typename E, bool Full, int Runs, int Run, int Pixels, typename Source>
static inline void add_products(const Source* const (&in)[Runs], int64_t in_step,
                                const Source* cotangent, int64_t cotangent_step, int n,
                                Vec<typename E::Lane> (&sums)[Runs][Run]) {
  using Lane = typename E::Lane;
  Vec<Lane> y[Pixels];
#pragma GCC unroll 4
  for (int i = 0; i < Pixels; ++i) y[i] = take<E, Full>(cotangent + i * cotangent_step, n);
#pragma GCC unroll 4
  for (int r = 0; r < Runs; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < Pixels + Run - 1; ++i) {
      Vec<Lane> x = take<E, Full>(in[r] + i * in_step, n);
#pragma GCC unroll 8
      for (int k = 0; k < Run; ++k) {
        if (i >= k && i - k < Pixels) sums[r][k] = fma<Lane>(x, y[i - k], sums[r][k]);
      }
    }
  }
}

template <typename E, bool Full, int Runs, int Run, typename Source>
static inline void product_block(const DepthwiseProducts& p, int64_t first, int64_t c, int n) {
  using Lane = typename E::Lane;
  using Plain = Element<Lane>;
  const Source* in[Runs];
  Vec<Lane> sums[Runs][Run];
#pragma GCC unroll 4
  for (int r = 0; r < Runs; ++r) {
    in[r] = static_cast<const Source*>(p.inputs[first + r * Run]) + c;
#pragma GCC unroll 8
    for (int k = 0; k < Run; ++k) {
      sums[r][k] = take<Plain, Full>(static_cast<const Lane*>(p.sums[first + r * Run + k]) + c, n);
    }
  }
  auto cotangent = static_cast<const Source*>(p.cotangent) + c;
  auto add = [&]<int Pixels>(std::integral_constant<int, Pixels>) {
    add_products<E, Full, Runs, Run, Pixels, Source>(in, p.in_step, cotangent, p.cotangent_step, n,
                                                     sums);
#pragma GCC unroll 4
    for (int r = 0; r < Runs; ++r) in[r] += Pixels * p.in_step;
    cotangent += Pixels * p.cotangent_step;
  };
  int64_t i = 0;
  for (; i + kPixels <= p.pixels; i += kPixels) add(std::integral_constant<int, kPixels>{});
  for (; i < p.pixels; ++i) add(std::integral_constant<int, 1>{});
#pragma GCC unroll 4
  for (int r = 0; r < Runs; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < Run; ++k) {
      put<Plain, Full>(static_cast<Lane*>(p.sums[first + r * Run + k]) + c, sums[r][k], n);
    }
  }
}

template <typename E, int Runs, int Run, typename Source>
static void product_runs(const DepthwiseProducts& p) {
  constexpr int lanes = E::kCount;
  for (int64_t t = 0; t < p.taps; t += Runs * Run) {
    int64_t c = 0;
    for (; c + lanes <= p.channels; c += lanes) {
      product_block<E, true, Runs, Run, Source>(p, t, c, lanes);
    }
    if (c < p.channels) {
      product_block<E, false, Runs, Run, Source>(p, t, c, static_cast<int>(p.channels - c));
    }
  }
}

template <typename E, typename Source>
static void depthwise_products(const DepthwiseProducts& p) {
  switch (p.run) {
    case 3:
      return p.taps % 9 ? product_runs<E, 1, 3, Source>(p) : product_runs<E, 3, 3, Source>(p);
    case 5:
      return product_runs<E, 1, 5, Source>(p);
    case 7:
      return product_runs<E, 1, 7, Source>(p);
    default:
      return product_runs<E, 1, 1, Source>(p);
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
