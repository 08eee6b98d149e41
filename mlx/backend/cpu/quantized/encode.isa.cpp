// Codes of few bits from floats, a group at a time.
#include "mlx/backend/cpu/quantized/encode.h"

#include "mlx/kernels/quantized.h"

namespace mlx::core::cpu::MLX_ISA {

using namespace kernels;

namespace {

constexpr int strip = 16;  // values at once; groups are multiples of it
constexpr int mxfp4 = 0, mxfp8 = 1, nvfp4 = 2;

/** x as its storage keeps it. */
template <typename T>
float rounded(float x) {
  if constexpr (is_same<T, Half>) return to_float(to_half(x));
  if constexpr (is_same<T, BFloat>) return to_float(to_bfloat(x));
  return x;
}

void encode_affine(const float* x, ValueGroups groups, int bits, uint8_t* codes, float* scales,
                   float* biases) {
  float steps = static_cast<float>((1 << bits) - 1);
  int size = groups.size;
  for (int64_t g = 0; g < groups.count; g++, x += size, codes += size) {
    float high[strip], low[strip];
    for (int k = 0; k < strip; k++) high[k] = -inf_f, low[k] = inf_f;
    for (int i = 0; i < size; i += strip) {
      for (int k = 0; k < strip; k++) {
        high[k] = x[i + k] > high[k] ? x[i + k] : high[k];
        low[k] = x[i + k] < low[k] ? x[i + k] : low[k];
      }
    }
    for (int k = 1; k < strip; k++) {
      high[0] = high[k] > high[0] ? high[k] : high[0];
      low[0] = low[k] < low[0] ? low[k] : low[0];
    }
    AffineGroup group = affine_group(low[0], high[0], steps);
    for (int i = 0; i < size; i++) {
      codes[i] = static_cast<uint8_t>(static_cast<int32_t>(affine_code(x[i], group, steps)));
    }
    scales[g] = group.scale;
    biases[g] = group.bias;
  }
}

template <int mode>
uint8_t encode_scale(float x) {
  return static_cast<uint8_t>(mode == nvfp4 ? to_fp8(x) : encode_e8m0(x));
}

template <int mode>
float decode_scale(uint8_t code) {
  return mode == nvfp4 ? from_fp8(code) : decode_e8m0(code);
}

template <int mode, typename T>
void encode_float(const float* x, ValueGroups groups, float global, uint8_t* codes,
                  uint8_t* scales) {
  constexpr float limit = mode == mxfp8 ? largest_fp8 : largest_fp4;
  int size = groups.size;
  for (int64_t g = 0; g < groups.count; g++, x += size, codes += size) {
    uint32_t most[strip] = {};
    for (int i = 0; i < size; i += strip) {
      for (int k = 0; k < strip; k++) {
        uint32_t m = to_bits(x[i + k]) & 0x7fffffffu;
        most[k] = m > most[k] ? m : most[k];
      }
    }
    for (int k = 1; k < strip; k++) most[0] = most[k] > most[0] ? most[k] : most[0];
    // A group with a value that is not finite is NaN as a whole.
    float largest = most[0] < 0x7f800000u ? float_of(most[0]) : nan_f;
    scales[g] = encode_scale<mode>(rounded<T>(largest / limit) / global);
    float scale = rounded<T>(decode_scale<mode>(scales[g]));
    for (int i = 0; i < size; i++) {
      float unit = scale == 0.0f ? 0.0f : rounded<T>(x[i] / scale);
      unit /= global;
      codes[i] = static_cast<uint8_t>(mode == mxfp8 ? to_fp8(unit) : encode_fp4(unit));
    }
  }
}

/** Eight codes are `bits` bytes, the first code in the lowest bits. */
template <int bits>
void pack(const uint8_t* codes, int64_t count, uint8_t* bytes) {
  for (int64_t i = 0; i < count; i += 8, codes += 8, bytes += bits) {
    uint64_t word = 0;
    for (int k = 0; k < 8; k++) word |= uint64_t{codes[k]} << (k * bits);
    for (int k = 0; k < bits; k++) bytes[k] = static_cast<uint8_t>(word >> (8 * k));
  }
}

}  // namespace

const EncodeTable& encode_table() {
  static constexpr EncodeTable table = {
      encode_affine,
      {{encode_float<mxfp4, float>, encode_float<mxfp4, Half>, encode_float<mxfp4, BFloat>},
       {encode_float<mxfp8, float>, encode_float<mxfp8, Half>, encode_float<mxfp8, BFloat>},
       {encode_float<nvfp4, float>, encode_float<nvfp4, Half>, encode_float<nvfp4, BFloat>}},
      {nullptr, pack<1>, pack<2>, pack<3>, pack<4>, pack<5>, pack<6>, nullptr, pack<8>},
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
