// Kernels that go out together overlap: each starts as soon as all blocks of the one before it have
// started, and waits for all of that one before it reads or writes what others may write. Since
// none ends without having waited, all earlier work is done by then.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** Lets the kernel behind this one start when all blocks have come here. */
MLX_FN void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/** From here on all earlier work is done. */
MLX_FN void await_earlier() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/** Comes first in every kernel, in all of its threads, but for what may be done before the wait:
 *  asking for memory, and reading what was there before the kernels went out. */
MLX_FN void begin_kernel() {
  let_next_start();
  await_earlier();
}

/** Asks for memory to be brought into the device's cache, before the kernel begins if need be: what
 *  is still written there goes through that cache. In pieces of 16 bytes; what does not consist of
 *  them is left out. */
MLX_FN void fetch_ahead(const void* from, int64_t bytes) {
#if __CUDA_ARCH__ >= 900
  if (bytes <= 0 || (reinterpret_cast<uint64_t>(from) | static_cast<uint64_t>(bytes)) % 16) return;
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from),
               "r"(static_cast<uint32_t>(bytes))
               : "memory");
#endif
}

}  // namespace mlx::core::kernels
