// Kernels of depthwise convolutions.
#include <type_traits>
#include <utility>

#include "mlx/backend/cpu/conv/depthwise_kernels.h"
#include "mlx/backend/cpu/gemm/pack.h"
#include "mlx/backend/cpu/gemm/take.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kPixels = 4;         // that share a load of the weight
constexpr int kPixelsPerBase = 3;  // that one address register reaches by index and scale
constexpr int kRunPixels = 8;      // the same where inputs are loaded once for several of them

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
      if (i > 0 && i % kPixelsPerBase == 0) {
        in += kPixelsPerBase * row.in_step;
        asm("" : "+r"(in));  // else each pixel's distance gets a register, and most are spilt
      }
      Vec<Lane> x = take<E, Full>(in + i % kPixelsPerBase * row.in_step, n);
#pragma GCC unroll 8
      for (int k = 0; k < Run; ++k) {
        if (i >= k && i - k < Pixels) sums[i - k] = fma<Lane>(x, weights[k], sums[i - k]);
      }
    }
  }
  Source* out = static_cast<Source*>(row.out) + pixel * row.out_step + c;
#pragma GCC unroll 8
  for (int i = 0; i < Pixels; ++i) put<E, Full>(out + i * row.out_step, sums[i], n);
}

// In each lane the K-th channel of the lane's group.
template <typename T, int Group, int K, int... Lane>
static inline Vec<T> spread_channel(Vec<T> x, std::integer_sequence<int, Lane...>) {
  constexpr Vec<typename IndexOf<sizeof(T)>::type> from = {(Lane / Group * Group + K)...};
  return __builtin_shuffle(x, from);
}

// Calls f(k, x with the k-th channel of its group in each lane) for each channel of a group.
template <typename T, int Group, typename F, int... K>
static inline void for_channels(Vec<T> x, F&& f, std::integer_sequence<int, K...>) {
  (f(std::integral_constant<int, K>{},
     spread_channel<T, Group, K>(x, std::make_integer_sequence<int, kLanes<T>>{})),
   ...);
}

// The same for groups of a few channels.
template <typename E, bool Full, int Group, int Pixels, typename Source>
static inline void grouped_sum(const DepthwiseRow& row, int64_t pixel, int64_t c, int n) {
  using Lane = typename E::Lane;
  Vec<Lane> sums[Pixels] = {};
  for (int64_t t = 0; t < row.taps; ++t) {
    auto in = static_cast<const Source*>(row.inputs[t]) + pixel * row.in_step + c;
    auto weight = static_cast<const Lane*>(row.weights[t]) + c;
    Vec<Lane> weights[Group];
#pragma GCC unroll 8
    for (int k = 0; k < Group; ++k) {
      weights[k] = take<Element<Lane>, Full>(weight + k * row.channels, n);
    }
#pragma GCC unroll 4
    for (int i = 0; i < Pixels; ++i) {
      for_channels<Lane, Group>(
          take<E, Full>(in + i * row.in_step, n),
          [&](auto k, Vec<Lane> x) { sums[i] = fma<Lane>(x, weights[k], sums[i]); },
          std::make_integer_sequence<int, Group>{});
    }
  }
  Source* out = static_cast<Source*>(row.out) + pixel * row.out_step + c;
#pragma GCC unroll 4
  for (int i = 0; i < Pixels; ++i) put<E, Full>(out + i * row.out_step, sums[i], n);
}

template <typename E, bool Full, int Run, int Group, int Pixels, typename Source>
static inline void channel_block(const DepthwiseRow& row, int64_t pixel, int64_t c, int n) {
  if constexpr (Group == 1) {
    weighted_sum<E, Full, Run, Pixels, Source>(row, pixel, c, n);
  } else {
    grouped_sum<E, Full, Group, Pixels, Source>(row, pixel, c, n);
  }
}

template <typename E, int Run, int Group, int Pixels, typename Source>
static inline void pixel_block(const DepthwiseRow& row, int64_t pixel) {
  constexpr int lanes = E::kCount;
  int64_t c = 0;
  for (; c + lanes <= row.channels; c += lanes) {
    channel_block<E, true, Run, Group, Pixels, Source>(row, pixel, c, lanes);
  }
  if (c < row.channels) {
    int n = static_cast<int>(row.channels - c);
    channel_block<E, false, Run, Group, Pixels, Source>(row, pixel, c, n);
  }
}

template <typename E, int Run, int Group, typename Source>
static void depthwise_runs(const DepthwiseRow& row) {
  if constexpr (Group <= E::kCount) {
    int64_t p = 0;
    if constexpr (Run > 1) {
      for (; p + kRunPixels <= row.pixels; p += kRunPixels) {
        pixel_block<E, Run, Group, kRunPixels, Source>(row, p);
      }
    }
    for (; p + kPixels <= row.pixels; p += kPixels) {
      pixel_block<E, Run, Group, kPixels, Source>(row, p);
    }
    for (; p < row.pixels; ++p) pixel_block<E, Run, Group, 1, Source>(row, p);
  }
}

template <typename E, typename Source>
static void grouped_row(const DepthwiseRow& row) {
  switch (row.group) {
    case 2:
      return depthwise_runs<E, 1, 2, Source>(row);
    case 4:
      return depthwise_runs<E, 1, 4, Source>(row);
    default:
      return depthwise_runs<E, 1, 8, Source>(row);
  }
}

template <typename E, typename Source>
static void depthwise_row(const DepthwiseRow& row) {
  if (row.group > 1) return grouped_row<E, Source>(row);
  switch (row.run) {
    case 3:
      return depthwise_runs<E, 3, 1, Source>(row);
    case 5:
      return depthwise_runs<E, 5, 1, Source>(row);
    case 7:
      return depthwise_runs<E, 7, 1, Source>(row);
    default:
      return depthwise_runs<E, 1, 1, Source>(row);
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

// The sums of one tap for groups of a few channels.
template <typename E, bool Full, int Group, typename Source>
static inline void grouped_products(const DepthwiseProducts& p, int64_t t, int64_t c, int n) {
  using Lane = typename E::Lane;
  using Plain = Element<Lane>;
  auto in = static_cast<const Source*>(p.inputs[t]) + c;
  auto cotangent = static_cast<const Source*>(p.cotangent) + c;
  Lane* to = static_cast<Lane*>(p.sums[t]) + c;
  Vec<Lane> sums[Group];
#pragma GCC unroll 8
  for (int k = 0; k < Group; ++k) sums[k] = take<Plain, Full>(to + k * p.channels, n);
  for (int64_t i = 0; i < p.pixels; ++i) {
    Vec<Lane> y = take<E, Full>(cotangent + i * p.cotangent_step, n);
    for_channels<Lane, Group>(
        take<E, Full>(in + i * p.in_step, n),
        [&](auto k, Vec<Lane> x) { sums[k] = fma<Lane>(x, y, sums[k]); },
        std::make_integer_sequence<int, Group>{});
  }
#pragma GCC unroll 8
  for (int k = 0; k < Group; ++k) put<Plain, Full>(to + k * p.channels, sums[k], n);
}

template <typename E, int Group, typename Source>
static void product_groups(const DepthwiseProducts& p) {
  if constexpr (Group <= E::kCount) {
    constexpr int lanes = E::kCount;
    for (int64_t t = 0; t < p.taps; ++t) {
      int64_t c = 0;
      for (; c + lanes <= p.channels; c += lanes) {
        grouped_products<E, true, Group, Source>(p, t, c, lanes);
      }
      if (c < p.channels) {
        grouped_products<E, false, Group, Source>(p, t, c, static_cast<int>(p.channels - c));
      }
    }
  }
}

template <typename E, typename Source>
static void depthwise_products(const DepthwiseProducts& p) {
  if (p.group == 2) return product_groups<E, 2, Source>(p);
  if (p.group == 4) return product_groups<E, 4, Source>(p);
  if (p.group == 8) return product_groups<E, 8, Source>(p);
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
  return {
      sizeof(Lane),     E::kCount,        depthwise_row<E, Source>, depthwise_products<E, Source>,
      widen<E, Source>, narrow<E, Source>};
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
