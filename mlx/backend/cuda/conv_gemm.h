// Convolutions by kernels of our own, which cover every parameter, layout and real dtype.
#pragma once

#include "mlx/backend/cuda/conv_phases.h"

namespace mlx::core::cuda {

/** Text of the kernel that a function such as "conv_gemm<float, true, TileShape<...>>" makes, for
 *  blocks of at most so many threads and one or several phases. */
std::string conv_source(const std::string& function, unsigned threads, bool several);

/** Whether a forward convolution takes the weight apart for the tensor cores before it multiplies,
 *  which makes the weight's layout irrelevant. */
bool packs_weight(const array& in, int out_channels, int groups, const Stream& s);

/** out = the convolution; `out` is row contiguous and has memory. */
void convolve(const array& in, const array& weight, array& out, const ConvParams& params,
              const Stream& s);

/** out = the weight's derivative; `out` is row contiguous and has memory. */
void convolve_weight(const array& in, const array& cotangent, array& out, const ConvParams& params,
                     const Stream& s);

}  // namespace mlx::core::cuda
