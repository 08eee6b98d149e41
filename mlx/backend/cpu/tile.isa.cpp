// Loads and stores of tiles, vectorised where the memory side is contiguous.
#include "mlx/backend/cpu/tile.h"
#include "mlx/backend/cpu/half_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using namespace kernels;

struct Keep {
  template <typename Out, typename In>
  MLX_FN void run(In x, Out& out) {
    out = static_cast<Out>(x);
  }
};

struct NonZero {
  template <typename Out, typename In>
  MLX_FN void run(In x, Out& out) {
    if constexpr (is_complex<In>) {
      out = (x.re != 0) | (x.im != 0);
    } else if constexpr (is_same<In, Half> || is_same<In, BFloat>) {
      out = (x.bits & 0x7fffu) != 0;
    } else {
      out = x != In(0);
    }
  }
};

template <typename Map, typename In, typename Out>
void copy(const void* in, int64_t in_stride, void* out, int64_t out_stride, int64_t n) {
  auto* __restrict from = static_cast<const In*>(in);
  auto* __restrict to = static_cast<Out*>(out);
  if (in_stride == 1 && out_stride == 1) {
    for (int64_t i = 0; i < n; i++) Map().run(from[i], to[i]);
  } else {
    for (int64_t i = 0; i < n; i++) Map().run(from[i * in_stride], to[i * out_stride]);
  }
}

template <typename In>
void widen_half(const void* in, int64_t in_stride, void* out, int64_t out_stride, int64_t n) {
  auto* from = static_cast<const In*>(in);
  auto* to = static_cast<float*>(out);
  if (in_stride == 1 && out_stride == 1) {
    widen_row(to, from, n);
  } else {
    for (int64_t i = 0; i < n; i++) to[i * out_stride] = to_float(from[i * in_stride]);
  }
}

void narrow(float x, Half& out) { out = to_half(x); }
void narrow(float x, BFloat& out) { out = to_bfloat(x); }

template <typename Out>
void narrow_half(const void* in, int64_t in_stride, void* out, int64_t out_stride, int64_t n) {
  auto* from = static_cast<const float*>(in);
  auto* to = static_cast<Out*>(out);
  if (in_stride == 1 && out_stride == 1) {
    narrow_row(to, from, n);
  } else {
    for (int64_t i = 0; i < n; i++) narrow(from[i * in_stride], to[i * out_stride]);
  }
}

}  // namespace

const TileTable& tile_table() {
  static constexpr TileTable table = {
      {copy<Keep, uint8_t, uint8_t>, copy<Keep, uint16_t, uint16_t>, copy<Keep, uint32_t, uint32_t>,
       copy<Keep, uint64_t, uint64_t>, copy<Keep, WideComplex, WideComplex>},
      // bool, u8, u16, u32, u64, i8, i16, i32, i64, f16, f32, f64, bf16, c64, c128
      {copy<Keep, uint8_t, uint32_t>, copy<Keep, uint8_t, uint32_t>, copy<Keep, uint16_t, uint32_t>,
       nullptr, nullptr, copy<Keep, int8_t, int32_t>, copy<Keep, int16_t, int32_t>, nullptr,
       nullptr, widen_half<Half>, nullptr, nullptr, widen_half<BFloat>, nullptr, nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
       narrow_half<Half>, nullptr, nullptr, narrow_half<BFloat>, nullptr, nullptr},
      {copy<NonZero, uint8_t, uint8_t>, copy<NonZero, uint8_t, uint8_t>,
       copy<NonZero, uint16_t, uint8_t>, copy<NonZero, uint32_t, uint8_t>,
       copy<NonZero, uint64_t, uint8_t>, copy<NonZero, uint8_t, uint8_t>,
       copy<NonZero, uint16_t, uint8_t>, copy<NonZero, uint32_t, uint8_t>,
       copy<NonZero, uint64_t, uint8_t>, copy<NonZero, Half, uint8_t>,
       copy<NonZero, float, uint8_t>, copy<NonZero, double, uint8_t>,
       copy<NonZero, BFloat, uint8_t>, copy<NonZero, Complex, uint8_t>,
       copy<NonZero, WideComplex, uint8_t>},
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
