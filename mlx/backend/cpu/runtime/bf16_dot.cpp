// Finds the maker with cpuid.
#include "mlx/backend/cpu/runtime/bf16_dot.h"

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/utils.h"

namespace mlx::core::cpu {

bool has_fast_bf16_dot() {
  static const bool found =
      has_avx512_bf16() && env::get_var("MLX_CPU_BF16_DOT", __builtin_cpu_is("intel") ? 0 : 1) != 0;
  return found;
}

}  // namespace mlx::core::cpu
