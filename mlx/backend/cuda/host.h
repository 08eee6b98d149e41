// Primitives that run on the host although their stream is a GPU's.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

/** Runs a primitive on the host: the stream is waited for. */
template <typename P>
void eval_on_host(P& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  synchronize_stream(primitive.stream());
  primitive.eval_cpu(inputs, outputs);
}

inline bool is_wide_complex(const std::vector<array>& inputs) {
  return !inputs.empty() && inputs[0].dtype() == complex128;
}

/** `eval`, but complex128 on the host: there are no kernels that sort or decompose it. */
template <typename P, void (*eval)(P&, const std::vector<array>&, std::vector<array>&)>
void host_if_wide(P& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  is_wide_complex(inputs) ? eval_on_host(primitive, inputs, outputs)
                          : eval(primitive, inputs, outputs);
}

}  // namespace mlx::core::cuda
