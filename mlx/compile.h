// Compilation: trace a function once for each set of input shapes, keep the simplified, fused
// graph.
#pragma once

#include <functional>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

enum class CompileMode { disabled, no_simplify, no_fuse, enabled };

/**
 * A function that traces `fun` on its first call for given dtypes and shapes and replays the
 * simplified graph afterwards. With `shapeless`, a change of shapes (not of ranks or dtypes) does
 * not trace again.
 */
std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::function<std::vector<array>(const std::vector<array>&)> fun, bool shapeless = false);
std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::vector<array> (*fun)(const std::vector<array>&), bool shapeless = false);

/** A lambda without captures. */
template <typename F,
          typename = std::enable_if_t<std::is_convertible_v<F, decltype(+std::declval<F>())>>>
std::function<std::vector<array>(const std::vector<array>&)> compile(F&& f,
                                                                     bool shapeless = false) {
  return compile(+f, shapeless);
}

/** Compiled functions run uncompiled until enabled again. */
void disable_compile();
void enable_compile();
void set_compile_mode(CompileMode mode);

}  // namespace mlx::core
