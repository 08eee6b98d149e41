// The counter-based generator: Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Shared by all backends and by the key sequence.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

struct ThreefryWords {
  uint32_t x0, x1;
};

/** a + b. On GPUs in the pipe of multiplications, since that of additions turns and mixes bits. */
MLX_FN uint32_t add_words(uint32_t a, uint32_t b) {
#ifdef __CUDACC__
  return a * blockDim.z + b;  // blockDim.z is 1, as the compiler does not know
#else
  return a + b;
#endif
}

template <int r0, int r1, int r2, int r3>
MLX_FN void threefry_rounds(ThreefryWords& w) {
  auto mix = [&w](int r) { w.x1 = ((w.x1 << r) | (w.x1 >> (32 - r))) ^ w.x0; };
  auto round = [&w, mix](int r) {
    w.x0 = add_words(w.x0, w.x1);
    mix(r);
  };
  w.x0 += w.x1;  // and the key in the same instruction
  mix(r0);
  round(r1), round(r2), round(r3);
}

/** The two words that the key (k0, k1) makes of the counter (c0, c1). */
MLX_FN ThreefryWords threefry2x32(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1) {
  uint32_t k2 = k0 ^ k1 ^ 0x1bd11bdau;
  ThreefryWords w{c0 + k0, c1 + k1};
  threefry_rounds<13, 15, 26, 6>(w);
  w.x0 += k1, w.x1 += k2 + 1u;
  threefry_rounds<17, 29, 16, 24>(w);
  w.x0 += k2, w.x1 += k0 + 2u;
  threefry_rounds<13, 15, 26, 6>(w);
  w.x0 += k0, w.x1 += k1 + 3u;
  threefry_rounds<17, 29, 16, 24>(w);
  w.x0 += k1, w.x1 += k2 + 4u;
  threefry_rounds<13, 15, 26, 6>(w);
  w.x0 += k2, w.x1 += k0 + 5u;
  return w;
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
