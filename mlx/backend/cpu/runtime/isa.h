// Choice of the instruction set at run time. Kernels in *.isa.cpp are compiled once per level into
// the namespaces cpu::v2, cpu::v3 and cpu::v4; MLX_ISA_TABLE declares the three and the chooser.
#pragma once

namespace mlx::core::cpu {

// The x86-64 levels: v2 = SSE4.2, v3 = AVX2 + FMA, v4 = AVX-512 (F, BW, CD, DQ, VL).
enum class Isa { v2 = 2, v3 = 3, v4 = 4 };

// The highest level this machine runs, found once by cpuid. The environment variable
// MLX_CPU_ISA=v2|v3|v4 lowers it (it never raises it).
Isa isa();

// Extensions beyond v4. False when isa() was lowered below v4.
bool has_avx512_bf16();
bool has_avx512_vnni();
bool has_avx512_fp16();

}  // namespace mlx::core::cpu

// In namespace mlx::core::cpu: declares `const Type& name()` for every level and defines
// `cpu::name()`, which returns the table of the level chosen at run time.
#define MLX_ISA_TABLE(Type, name)                               \
  namespace v2 {                                                \
  const Type& name();                                           \
  }                                                             \
  namespace v3 {                                                \
  const Type& name();                                           \
  }                                                             \
  namespace v4 {                                                \
  const Type& name();                                           \
  }                                                             \
  inline const Type& name() {                                   \
    static const Type& table = isa() == Isa::v4   ? v4::name()  \
                               : isa() == Isa::v3 ? v3::name()  \
                                                  : v2::name(); \
    return table;                                               \
  }
