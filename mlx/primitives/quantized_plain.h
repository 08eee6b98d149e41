// Quantisation by element-wise operations and reductions: what stands for its nodes where a backend
// has no kernel for them, and what their derivatives come from.
#pragma once

#include <optional>
#include <vector>

#include "mlx/primitives/quantized.h"

namespace mlx::core {

/** Words (..., w) as the unsigned values in them (..., w * 32 / bits), and the other way round. */
array unpack_values(const array& words, int bits, Stream s);
array pack_values(const array& values, int bits, Stream s);

/** The outputs of Quantize, bit for bit. */
std::vector<array> plain_quantize(const QuantizedFormat& format, const array& w,
                                  const array* global_scale, Stream s);

/** The output of Dequantize, bit for bit. */
array plain_dequantize(const QuantizedFormat& format, Dtype dtype, const QuantizedWeight& weight,
                       Stream s);

}  // namespace mlx::core
