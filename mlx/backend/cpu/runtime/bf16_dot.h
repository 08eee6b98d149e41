// Whether to multiply bf16 by the dot product of AVX512-BF16.
#pragma once

namespace mlx::core::cpu {

// Whether that instruction does more than multiplying widened floats: Intel's processors take two
// cycles for one, others do not. MLX_CPU_BF16_DOT=0|1 says otherwise, where the instruction exists.
bool has_fast_bf16_dot();

}  // namespace mlx::core::cpu
