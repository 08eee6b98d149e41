// Finds the instruction set level with cpuid (the compiler's builtins also check that the operating
// system saves the registers).
#include "mlx/backend/cpu/runtime/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <cpuid.h>

namespace mlx::core::cpu {

namespace {

Isa machine_isa() {
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  return v4 ? Isa::v4 : v3 ? Isa::v3 : Isa::v2;
}

Isa choose_isa() {
  const char* text = std::getenv("MLX_CPU_ISA");
  std::string_view wanted = text ? text : "";
  Isa limit = wanted == "v2" ? Isa::v2 : wanted == "v3" ? Isa::v3 : Isa::v4;
  return std::min(limit, machine_isa());
}

struct Leaf7 {
  unsigned ecx = 0, edx = 0, sub1_eax = 0;

  Leaf7() {
    unsigned eax = 0, ebx = 0, unused = 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return;
    if (eax >= 1) __get_cpuid_count(7, 1, &sub1_eax, &ebx, &unused, &unused);
  }
};

const Leaf7& leaf7() {
  static const Leaf7 leaf;
  return leaf;
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose_isa();
  return chosen;
}

bool has_avx512_bf16() {
  static const bool found = isa() == Isa::v4 && (leaf7().sub1_eax >> 5 & 1);
  return found;
}

bool has_avx512_vnni() {
  static const bool found = isa() == Isa::v4 && (leaf7().ecx >> 11 & 1);
  return found;
}

bool has_avx512_fp16() {
  static const bool found = isa() == Isa::v4 && (leaf7().edx >> 23 & 1);
  return found;
}

}  // namespace mlx::core::cpu
