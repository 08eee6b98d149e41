// Gemm kernels of bf16 on the AVX512-BF16 dot product, which multiplies pairs along the depth and
// sums in f32: panels keep bf16 and interleave two steps of the depth.
#if defined(__AVX512F__)
#pragma GCC target("avx512bf16")
#endif

#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

namespace simd {

// Two neighbours of a row, which starts at any even address.
struct HalfPair {
  uint16_t even, odd;
};

struct Pair {
  using Lane = uint32_t;
  static inline Vec<uint32_t> load(const HalfPair* p) {
    typedef uint32_t Halves __attribute__((vector_size(kVectorBytes), aligned(2), may_alias));
    return *reinterpret_cast<const Halves*>(p);
  }
};

static void pack_pair_rows(void* panel, int width, const void* const* rows, int count,
                           int64_t depth) {
  pack_rows<Pair, HalfPair>(panel, width, rows, count, depth / 2);
  if (depth % 2 == 0) return;
  uint32_t* last = static_cast<uint32_t*>(panel) + depth / 2 * width;
  for (int w = 0; w < width; ++w) {
    last[w] = w < count ? static_cast<const uint16_t*>(rows[w])[depth - 1] : 0;
  }
}

static inline Vec<uint32_t> load_halves(const uint16_t* line, int n) {
  if (n >= kLanes<uint32_t>) return Halves::load(line);
  return n > 0 ? load_some<Halves>(line, n) : Vec<uint32_t>{};
}

static void pack_pair_lines(void* panel, int width, const void* const* lines, int count,
                            int64_t depth) {
  for (int64_t k = 0; k < depth; k += 2) {
    auto even = static_cast<const uint16_t*>(lines[k]);
    auto odd = k + 1 < depth ? static_cast<const uint16_t*>(lines[k + 1]) : nullptr;
    uint32_t* to = static_cast<uint32_t*>(panel) + k / 2 * width;
    for (int w = 0; w < width; w += kLanes<uint32_t>) {
      Vec<uint32_t> v = load_halves(even + w, count - w);
      if (odd) v |= load_halves(odd + w, count - w) << 16;
      store<uint32_t>(to + w, v);
    }
  }
}

static void pack_pair_strided(void* panel, int width, const void* source, int64_t width_stride,
                              int64_t depth_stride, int count, int64_t depth) {
  for (int64_t k = 0; k < depth; k += 2) {
    auto from = static_cast<const uint16_t*>(source) + k * depth_stride;
    uint32_t* to = static_cast<uint32_t*>(panel) + k / 2 * width;
    for (int w = 0; w < width; ++w) {
      to[w] = w < count ? from[w * width_stride] : 0;
      if (w < count && k + 1 < depth) {
        to[w] |= uint32_t{from[w * width_stride + depth_stride]} << 16;
      }
    }
  }
}

struct DotMath {
  using Packed = uint32_t;
  using Sum = float;
  static constexpr int parts = 1;
  static inline Vec<uint32_t> spread(uint32_t a) {
    return reinterpret_cast<Vec<uint32_t>>(_mm512_set1_epi32(static_cast<int>(a)));
  }
  static inline Vec<float> add_product(Vec<uint32_t> a, Vec<uint32_t> b, Vec<float> c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static inline Vec<float> join(const Vec<float>& sum) { return sum; }
};

static constexpr GemmKernels dot_kernels() {
  GemmKernels kernels = plain_kernels<Bf16, float>();
  kernels.unit = 2;
  kernels.micro = micro_table<DotMath, kRegisterRows, 2>.kernels;
  kernels.pack_rows = pack_pair_rows;
  kernels.pack_lines = pack_pair_lines;
  kernels.pack_across = nullptr;
  kernels.pack_strided = pack_pair_strided;
  return kernels;
}

}  // namespace simd

const GemmKernels& bf16_dot_gemm_kernels() {
  static constexpr GemmKernels table = simd::dot_kernels();
  return table;
}

#else

// Levels without the instruction have the widening kernels under this name too.
const GemmKernels& bf16_dot_gemm_kernels() { return real_gemm_kernels().bf16; }

#endif

}  // namespace mlx::core::cpu::MLX_ISA
