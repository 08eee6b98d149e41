// Products of rounded activations by the AVX512-VNNI dot product, which adds pairs of products to
// sums in one instruction.
#if defined(__AVX512F__)
#pragma GCC target("avx512vnni")
#include "mlx/backend/cpu/quantized/split_dot.h"
#else
#include "mlx/backend/cpu/quantized/kernels.h"
#endif

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

namespace simd {

struct VnniPairs {
  static inline Vec<int32_t> add(Vec<int32_t> sum, Shorts a, Shorts b) {
    return reinterpret_cast<Vec<int32_t>>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum),
                                                              reinterpret_cast<__m512i>(a),
                                                              reinterpret_cast<__m512i>(b)));
  }
};

template <typename Codes>
static constexpr void enter(RoundedKernels& table, Code code) {
  int i = static_cast<int>(code);
  table.few_rows[i] = multiply_split_rows<SplitDot<Codes>>;
  table.split[i] = split_activations<Codes>;
}

static constexpr RoundedKernels vnni_kernels() {
  RoundedKernels table = all_rounded_kernels<VnniPairs>();
  enter<Unsigned<4>>(table, Code::u4);
  enter<Unsigned<8>>(table, Code::u8);
  return table;
}

}  // namespace simd

const RoundedKernels& rounded_vnni_kernels() {
  static constexpr RoundedKernels table = simd::vnni_kernels();
  return table;
}

#else

// Levels without the instruction have the plain kernels under this name too.
const RoundedKernels& rounded_vnni_kernels() { return rounded_kernels(); }

#endif

}  // namespace mlx::core::cpu::MLX_ISA
