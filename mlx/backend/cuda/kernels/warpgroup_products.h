// Products of four warps together, of compute capability 9.0: 64 rows in registers by 64 columns in
// swizzled shared memory. They run beside other work, so registers and memory need their fences.
// The text of an asm is a literal, so each type of operand has one of its own.
#pragma once

#include "mlx/backend/cuda/kernels/async_copies.h"

namespace mlx::core::kernels {

/** c = [c +] a b for 64 rows of four warps and 64 columns, over 16 terms. */
template <typename T, bool columns_first>
MLX_FN void multiply_warps(float (*c)[4], const uint32_t (&a)[4], uint64_t b, bool add) {
  if constexpr (is_same<T, Half>) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "
        "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, add, 1, 1, %38;\n}"
        : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]),
          "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]),
          "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]),
          "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
          "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
          "+f"(c[7][2]), "+f"(c[7][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)),
          "n"(int(columns_first)));
  } else {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "
        "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, add, 1, 1, %38;\n}"
        : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]),
          "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]),
          "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]),
          "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
          "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
          "+f"(c[7][2]), "+f"(c[7][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)),
          "n"(int(columns_first)));
  }
}

/** c += a b for 64 rows of a and 64 rows of b, both described by describe_rows, over 16 terms. */
template <typename T>
MLX_FN void multiply_panels(float (&c)[8][4], uint64_t a, uint64_t b) {
  if constexpr (is_same<T, Half>) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, 1, 1, 1, 0, 0;"
        : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]),
          "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]),
          "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]),
          "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
          "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
          "+f"(c[7][2]), "+f"(c[7][3])
        : "l"(a), "l"(b));
  } else {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, 1, 1, 1, 0, 0;"
        : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]),
          "+f"(c[1][2]), "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]),
          "+f"(c[3][0]), "+f"(c[3][1]), "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]),
          "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]), "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]),
          "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]), "+f"(c[7][0]), "+f"(c[7][1]),
          "+f"(c[7][2]), "+f"(c[7][3])
        : "l"(a), "l"(b));
  }
}
/** Keeps arithmetic on registers of products on its side of what stands here. */
template <int n>
MLX_FN void pin(float (&c)[n][4]) {
#pragma unroll
  for (int i = 0; i < n; i++) {
#pragma unroll
    for (int k = 0; k < 4; k++) asm volatile("" : "+f"(c[i][k])::"memory");
  }
}
template <int n>
MLX_FN void pin(uint32_t (&a)[n][4]) {
#pragma unroll
  for (int i = 0; i < n; i++) {
#pragma unroll
    for (int k = 0; k < 4; k++) asm volatile("" : "+r"(a[i][k])::"memory");
  }
}

/** Registers that products read or write may have been written before. */
MLX_FN void open_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
MLX_FN void close_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/** Waits until all but the last `open` groups of products are done. */
template <int open>
MLX_FN void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(open) : "memory");
}
/** Makes what this thread copied visible to the products of all, after a barrier. */
MLX_FN void publish_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/** Waits for the `threads` of a team, of which a block has up to 15, counted from 0. */
template <int threads>
MLX_FN void sync_team(int team) {
  asm volatile("bar.sync %0, %1;" ::"r"(team + 1), "n"(threads) : "memory");
}

/** Rows of 64 numbers at an address, in the swizzle that makes 128 bytes of a row: groups of eight
 *  rows follow each other. */
MLX_FN uint64_t describe_rows(uint32_t address) {
  constexpr uint64_t swizzle = uint64_t(1) << 62, group = uint64_t(1024 / 16) << 32;
  return swizzle | group | uint64_t(1) << 16 | (address & 0x3ffffu) >> 4;
}

constexpr int panel_alignment = 1024;
MLX_FN uint32_t aligned_panels(const void* shared) {
  return (shared_address(shared) + panel_alignment - 1) & ~uint32_t(panel_alignment - 1);
}

}  // namespace mlx::core::kernels
