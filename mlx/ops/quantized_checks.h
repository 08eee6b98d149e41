// The checks that all operations on quantised matrices share. Each throws std::invalid_argument
// that names the operation, what it got and what would fit.
#pragma once

#include <optional>
#include <string>

#include "mlx/array.h"
#include "mlx/primitives/quantized.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/** The format of a mode, with the mode's own group size and bits where none are given. */
QuantizedFormat quantized_format(const char* op, std::optional<int> group_size,
                                 std::optional<int> bits, const std::string& mode);

/** float32, float16 or bfloat16. */
bool is_quantizable(Dtype dtype);
void check_quantizable(const char* op, const char* what, const array& x);

/** That packed words, scales and biases belong together. */
void check_quantized(const char* op, const QuantizedFormat& format, const array& w,
                     const array& scales, const std::optional<array>& biases);

/** That rows of values are whole groups and whole words. */
void check_row(const char* op, const QuantizedFormat& format, const array& w);

/** The global scale as nodes take it: a scalar, or one value for each matrix in the batch of
 *  `matrix`. */
array checked_global_scale(const char* op, const QuantizedFormat& format, const array& scale,
                           const array& matrix, StreamOrDevice s);

}  // namespace mlx::core::detail
