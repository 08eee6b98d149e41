// The kernels of quantised matrices that need no dot product of integers.
#include "mlx/backend/cpu/quantized/dequantize.h"
#include "mlx/backend/cpu/quantized/few_rows.h"
#include "mlx/backend/cpu/quantized/rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

// The dot product of activations as floats.
template <typename CodesType>
struct FloatDot {
  using Codes = CodesType;
  using X = float;
  using Sum = float;
  using Block = Vec<float>[kFloatParts];
  static constexpr int kVectors = kFloatParts;

  static inline const float* activations(const Activations& x) { return x.values; }
  static inline void unpack(const uint8_t* p, Block& to) { unpack_floats<Codes>(p, to); }
  static inline void unpack_ordered(const uint8_t* p, Block& to) { unpack_floats<Codes>(p, to); }
  static inline Vec<float> add(Vec<float> sum, Vec<float> code, Vec<float> x) {
    return fma<float>(code, x, sum);
  }
  static inline Vec<float> to_floats(Vec<float> v) { return v; }
  static inline void add_halves(const Block& codes, const float* x, const float* scales,
                                Vec<float>& total) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      Vec<float> sum = {};
#pragma GCC unroll 4
      for (int i = half * kVectors / 2; i < (half + 1) * kVectors / 2; ++i) {
        sum = add(sum, codes[i], load(x + i * kLanes<float>));
      }
      total = fma<float>(sum, splat(scales[half]), total);
    }
  }
};

template <typename Codes>
static constexpr void enter(QuantizedKernels& table, Code code) {
  int i = static_cast<int>(code);
  table.few_rows[i] = multiply_few_rows<FloatDot<Codes>>;
  table.widen[i] = widen_codes<Codes>;
  table.dequantize[i] = dequantize_row<Codes>;
  if constexpr (Codes::kIntegers) table.pack_rows[i] = pack_codes<Codes>;
}

static constexpr QuantizedKernels all_kernels() {
  QuantizedKernels table = {};
  enter<Unsigned<1>>(table, Code::u1);
  enter<Unsigned<2>>(table, Code::u2);
  enter<Unsigned<3>>(table, Code::u3);
  enter<Unsigned<4>>(table, Code::u4);
  enter<Unsigned<5>>(table, Code::u5);
  enter<Unsigned<6>>(table, Code::u6);
  enter<Unsigned<8>>(table, Code::u8);
  enter<E2m1>(table, Code::e2m1);
  enter<E4m3>(table, Code::e4m3);
  table.pack_activations = pack_activations;
  table.round_f16 = round_row<Element<F16, float>, F16>;
  table.round_bf16 = round_row<Element<Bf16, float>, Bf16>;
  table.sum_groups = sum_groups;
  return table;
}

}  // namespace simd

const QuantizedKernels& quantized_kernels() {
  static constexpr QuantizedKernels table = simd::all_kernels();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
