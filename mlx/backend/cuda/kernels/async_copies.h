// Copies from global to shared memory that run while the block computes. They arrive in groups, in
// the order in which the thread closed them.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

MLX_FN uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

MLX_FN const void* from_shared(uint32_t address) { return __cvta_shared_to_generic(address); }
MLX_FN void store_shared(uint32_t address, uint4 value) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(value.x),
               "r"(value.y), "r"(value.z), "r"(value.w)
               : "memory");
}

/** An address of global memory that stays in registers: the compiler would rather make it anew at
 *  every use. */
template <typename T>
MLX_FN const T* kept(const T* address) {
  size_t place = __cvta_generic_to_global(address);
  asm volatile("" : "+l"(place));
  return static_cast<const T*>(__cvta_global_to_generic(place));
}

/** Sixteen bytes, or zeros. */
MLX_FN void copy_async(uint32_t to, const void* from, bool present) {
  int bytes = present ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
/** Four bytes, or zeros: for rows that do not lie in pieces of sixteen. */
MLX_FN void copy_word_async(uint32_t to, const void* from, bool present) {
  int bytes = present ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
MLX_FN void close_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits until all but the last `open` groups have arrived. */
template <int open>
MLX_FN void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
}

}  // namespace mlx::core::kernels
