// Kernels compiled at run time for the device at hand, and kept: in memory for the process, on disk
// in the user's cache folder for the next one.
#pragma once

#include <functional>
#include <string>
#include <type_traits>

#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

using Kernel = const void*;

/** Whose text it is: the library's own, in which each instruction rounds as on the CPU, or a
 * user's, which finds CUDA's headers where they are installed. */
enum class TextOf { library, user };

/**
 * The function `name` (extern "C") of the source text, for the device of `s`. `key` names the text:
 * equal keys have equal texts, and the text is only made when the key is new to this process.
 */
Kernel kernel_of(const std::string& key, const char* name, const Stream& s,
                 const std::function<std::string()>& source, TextOf whose = TextOf::library);

/** Has the text of a key compiled soon if it was not so far: `kernel_of` will be asked for it. */
void foresee_kernel(const std::string& key, const Stream& s,
                    const std::function<std::string()>& source) noexcept;

/** The function `name` of PTX or machine code, for the device of `s`. */
Kernel precompiled_kernel(const std::string& code, const std::string& name, const Stream& s);

/** Machine code of the text for an architecture such as "sm_90". Throws std::runtime_error with the
 *  compiler's log. Needs no GPU. */
std::string compile_source(const std::string& source, const std::string& architecture,
                           TextOf whose = TextOf::library);

/** Lets a kernel have more shared memory than all may have. */
void ask_for_shared(Kernel kernel, size_t bytes);

/** Queues a kernel on the stream; a grid of no blocks is no work. Returns as Recorder::launch. */
uint64_t launch(const KernelLaunch& launch, const Stream& s);

/** The same for a kernel that takes `call`. `cluster` neighbours along x form a cluster, if it is
 *  not 0. */
template <typename Call>
uint64_t launch(Kernel kernel, dim3 grid, dim3 block, const Stream& s, const Call& call,
                size_t shared_bytes = 0, unsigned cluster = 0) {
  static_assert(std::is_trivially_copyable_v<Call>, "arguments are copied as bytes");
  return launch({kernel, grid, block, &call, sizeof(Call), shared_bytes, cluster, /*waits=*/true},
                s);
}

/** Blocks that cover `count` items, `each` per block. Throws past what a grid holds. */
unsigned blocks_for(int64_t count, int64_t each);

}  // namespace mlx::core::cuda
