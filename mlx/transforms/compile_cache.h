// Compiled functions behind the public `compile`: callers with trees of arguments (Python) come
// here with flat arrays and a key for everything that is not an array.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/function_ref.h"

namespace mlx::core::detail {

/** Whether compiled functions are to be traced at all at the moment. */
bool compile_enabled();

/** What a caller wants to find again with a trace. It may be destroyed on any thread. */
using TraceNote = std::shared_ptr<void>;

/** A function to trace; it may leave a note. */
using TracedFunction = FunctionRef<std::vector<array>(const std::vector<array>&, TraceNote&)>;

struct CompiledCall {
  std::vector<array> outputs;
  TraceNote note;
};

/**
 * Calls `fun` compiled: it is traced only if no trace for these constants, dtypes, shapes and
 * default stream is kept under `fun_id`. With `shapeless` one trace serves all shapes in which the
 * same extents are equal, 0 or 1, unless `fun` asked for an extent; an extent that varies for the
 * first time costs one more trace, which has to be the same graph. `constants` are all further
 * values that a trace depends on. Each function keeps its most recently used traces, at most
 * `most_traces_per_function`, until it is erased.
 */
CompiledCall call_compiled(TracedFunction fun, std::uintptr_t fun_id, bool shapeless,
                           std::vector<uint64_t> constants, const std::vector<array>& inputs);

inline constexpr size_t most_traces_per_function = 512;

/** Calls `visit` with the notes that a function's traces carry. */
void visit_notes(std::uintptr_t fun_id, FunctionRef<void(void*)> visit);

/** Calls `visit` with what keeps functions with rules of their own for a function's traces. */
void visit_calls(std::uintptr_t fun_id, FunctionRef<void(const void*)> visit);

/** Forgets the traces of a function that is no more. */
void erase_compiled(std::uintptr_t fun_id);

/** Forgets all traces. */
void clear_compiled();

/** The number of traces that are kept. */
size_t count_compiled();

}  // namespace mlx::core::detail
