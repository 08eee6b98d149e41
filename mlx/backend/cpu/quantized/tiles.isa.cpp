// Packers of AMX tiles from codes, where there may be AMX.
#if defined(__AVX512F__)
#include "mlx/backend/cpu/quantized/tiles.h"
#else
#include "mlx/backend/cpu/quantized/kernels.h"
#endif

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

const TilePackers& tile_packers() {
  using namespace simd;
  static constexpr TilePackers table = {
      {pack_tiles<Unsigned<1>>, pack_tiles<Unsigned<2>>, pack_tiles<Unsigned<3>>,
       pack_tiles<Unsigned<4>>, pack_tiles<Unsigned<5>>, pack_tiles<Unsigned<6>>,
       pack_tiles<Unsigned<8>>, pack_tiles<E2m1>, pack_tiles<E4m3>}};
  return table;
}

#else

const TilePackers& tile_packers() {
  static constexpr TilePackers table = {};
  return table;
}

#endif

}  // namespace mlx::core::cpu::MLX_ISA
