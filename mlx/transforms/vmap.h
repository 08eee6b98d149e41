// Batching in two stages, for callers that handle trees of arrays between them.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/** The batch size that the mapped inputs agree on; axis -1 means not mapped. Throws if they do not.
 */
int vmap_size(const std::vector<array>& inputs, const std::vector<int>& in_axes);

/** What to trace with: a placeholder without the batch axis for each mapped input. */
std::vector<array> vmap_arguments(const std::vector<array>& inputs,
                                  const std::vector<int>& in_axes);

/**
 * The batched outputs: `outputs` came from the traced `arguments` that stand for `inputs`. An out
 * axis of -1 means no batch axis, which is an error if the output depends on a mapped input. To be
 * called within the TracingScope of the trace.
 */
std::vector<array> vmap_replay(const std::vector<array>& inputs, const std::vector<int>& in_axes,
                               const std::vector<array>& arguments,
                               const std::vector<array>& outputs, const std::vector<int>& out_axes);

}  // namespace mlx::core::detail
