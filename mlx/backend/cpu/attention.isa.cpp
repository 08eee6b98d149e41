// Row kernels of attention masks.
#include "mlx/backend/cpu/attention_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

void add(float* __restrict scores, const float* __restrict mask, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] += mask[i];
}

void hide(float* __restrict scores, const uint8_t* __restrict mask, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] = mask[i] ? scores[i] : -__FLT_MAX__;
}

}  // namespace

const AttentionTable& attention_table() {
  static constexpr AttentionTable table = {add, hide};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
