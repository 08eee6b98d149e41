// Compiled functions behind the public `compile`: callers with trees of arguments (Python) come
// here with flat arrays and a key for everything that is not an array.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/** Whether compiled functions are to be traced at all at the moment. */
bool compile_enabled();

/**
 * `fun` compiled. Traces are kept under `fun_id` until erased; `constants` are further values that
 * a trace depends on.
 */
std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::function<std::vector<array>(const std::vector<array>&)> fun, std::uintptr_t fun_id,
    bool shapeless, std::vector<uint64_t> constants = {});

/** Forgets the traces of a function that is no more. */
void erase_compiled(std::uintptr_t fun_id);

/** Forgets all traces. */
void clear_compiled();

}  // namespace mlx::core::detail
