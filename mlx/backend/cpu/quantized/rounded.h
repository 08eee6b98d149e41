// Products of rounded activations with integer codes, few rows at a time and as micro kernels over
// panels: sums of a group are integers, which scales turn into floats. Included only by the
// *.isa.cpp files that choose the dot product.
#pragma once

#include <utility>

#include "mlx/backend/cpu/quantized/few_rows.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// sum + the products of neighbours, added in pairs. A file with a better instruction has a struct
// of its own: GCC reads a file whole before a target pragma in it defines macros.
struct PlainPairs {
  static inline Vec<int32_t> add(Vec<int32_t> sum, Shorts a, Shorts b) {
#if defined(__AVX512F__)
    return sum + reinterpret_cast<Vec<int32_t>>(
                     _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
    return sum + reinterpret_cast<Vec<int32_t>>(
                     _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#else
    return sum + reinterpret_cast<Vec<int32_t>>(
                     _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#endif
  }
};

// The dot product of rounded activations with integer codes.
template <typename Pairs, typename CodesType>
struct RoundedDot {
  using Codes = CodesType;
  using X = int16_t;
  using Sum = int32_t;
  using Block = Shorts[kParts];
  static constexpr int kVectors = kParts;

  static inline const int16_t* activations(const Activations& x) { return x.codes; }
  static inline void unpack(const uint8_t* p, Block& to) {
    if constexpr (Codes::kPaired) {
      Codes::unpack_paired(p, to);
    } else {
      Codes::unpack(p, to);
    }
  }
  static inline void unpack_ordered(const uint8_t* p, Block& to) { Codes::unpack(p, to); }
  static inline Vec<int32_t> add(Vec<int32_t> sum, Shorts code, Shorts x) {
    return Pairs::add(sum, code, x);
  }
  static inline Vec<float> to_floats(Vec<int32_t> v) {
    return __builtin_convertvector(v, Vec<float>);
  }
  static inline void add_halves(const Block& codes, const int16_t* x, const float* scales,
                                Vec<float>& total) {
#if defined(__AVX512F__)
    auto low = _mm512_castps256_ps512(_mm256_broadcast_ss(scales));
    Vec<float> both = _mm512_insertf32x8(low, _mm256_broadcast_ss(scales + 1), 1);
    Vec<float> sum = to_floats(Pairs::add(Vec<int32_t>{}, codes[0], load(x)));
    total = fma<float>(sum, both, total);
#else
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      Vec<int32_t> sum = {};
#pragma GCC unroll 2
      for (int i = half * kParts / 2; i < (half + 1) * kParts / 2; ++i) {
        sum = Pairs::add(sum, codes[i], load(x + i * kShorts));
      }
      total = fma<float>(to_floats(sum), splat(scales[half]), total);
    }
#endif
  }
};

template <typename Pairs, int Group, int Rows, int Vectors>
static void rounded_micro(int64_t steps, const void* a_panel, const void* b_panel, void* c_tile,
                          int64_t ldc, bool accumulate) {
  constexpr int lanes = kLanes<float>, width = Vectors * lanes;
  auto a = static_cast<const int32_t*>(a_panel);
  auto b = static_cast<const int32_t*>(b_panel);
  auto c = static_cast<float*>(c_tile);
  if (!accumulate) {
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < Vectors; ++v) store<float>(c + r * ldc + v * lanes, Vec<float>{});
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    Vec<int32_t> sums[Rows][Vectors] = {};
    for (int k = 0; k < Group / 2; ++k) {
      Shorts columns[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        columns[v] = reinterpret_cast<Shorts>(load(b + v * lanes));
      }
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        Shorts row = reinterpret_cast<Shorts>(splat(a[r]));
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) sums[r][v] = Pairs::add(sums[r][v], row, columns[v]);
      }
      a += Rows;
      b += width;
    }
    auto a_factors = reinterpret_cast<const float*>(a);
    auto b_factors = reinterpret_cast<const float*>(b);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      Vec<float> scale = splat(a_factors[r]), sum = splat(a_factors[Rows + r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        float* to = c + r * ldc + v * lanes;
        Vec<float> value = fma<float>(sum, load(b_factors + width + v * lanes), load(to));
        Vec<float> factor = scale * load(b_factors + v * lanes);
        store<float>(to,
                     fma<float>(__builtin_convertvector(sums[r][v], Vec<float>), factor, value));
      }
    }
    a += 2 * Rows;
    b += 2 * width;
  }
}

struct RoundedMicro {
  MicroKernel kernels[2 * kRegisterRows];
};

template <typename Pairs, int Group, int... I>
static constexpr RoundedMicro make_rounded_micro(std::integer_sequence<int, I...>) {
  return {{rounded_micro<Pairs, Group, I + 1, 1>..., rounded_micro<Pairs, Group, I + 1, 2>...}};
}

template <typename Pairs, int Group>
static constexpr auto rounded_micro_table =
    make_rounded_micro<Pairs, Group>(std::make_integer_sequence<int, kRegisterRows>{});

template <typename Pairs, int Group>
static constexpr GemmKernels panel_kernels() {
  GemmKernels kernels = {};
  kernels.rows = kRegisterRows;
  kernels.lanes = kLanes<float>;
  kernels.unit = Group;
  kernels.packed_size = 2 * Group + 8;
  kernels.sum_size = sizeof(float);
  kernels.micro = rounded_micro_table<Pairs, Group>.kernels;
  return kernels;
}

template <typename Pairs, typename... Codes>
static constexpr RoundedKernels rounded_kernels_of() {
  return {{multiply_few_rows<RoundedDot<Pairs, Codes>>..., nullptr},
          {panel_kernels<Pairs, 16>(), panel_kernels<Pairs, 32>(), panel_kernels<Pairs, 64>(),
           panel_kernels<Pairs, 128>()},
          {}};
}

template <typename Pairs>
static constexpr RoundedKernels all_rounded_kernels() {
  return rounded_kernels_of<Pairs, Unsigned<1>, Unsigned<2>, Unsigned<3>, Unsigned<4>, Unsigned<5>,
                            Unsigned<6>, Unsigned<8>, E2m1>();
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
