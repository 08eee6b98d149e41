// Which convolutions cuDNN can do, and what they are in its terms.
#pragma once

#include "mlx/primitives/conv.h"

namespace mlx::core::cuda {

/** out = the convolution, if cuDNN does it; `out` has memory. */
bool convolve_by_library(const array& in, const array& weight, array& out, const ConvParams& params,
                         const Stream& s);

/** out = the weight's derivative, if cuDNN does it. */
bool differentiate_by_library(const array& in, const array& cotangent, array& out,
                              const ConvParams& params, const Stream& s);

}  // namespace mlx::core::cuda
