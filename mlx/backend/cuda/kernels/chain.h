// Kernels that go out together overlap: each starts while the one before it ends, and waits for all
// of that one before it reads or writes anything.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** Comes first in every kernel, in all of its threads. From here on all earlier work is done, and
 *  the kernel behind this one may start. */
MLX_FN void begin_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
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
