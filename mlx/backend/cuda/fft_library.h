// Fourier transforms of rows by cuFFT, which is opened at the first use.
#pragma once

#include <cstdint>

#include "mlx/stream.h"

namespace mlx::core::cuda {

enum class RowTransform {
  complex,       // n numbers to n
  to_half,       // n floats to n / 2 + 1 numbers
  from_half,     // the reverse
  wide_complex,  // as complex, in double
};

/** Queues the unscaled transforms of `rows` dense rows. `n` is at least 2; addresses are multiples
 *  of 16; from_half may change its input. Throws where the library is not installed. */
void transform_rows(RowTransform kind, int64_t n, int64_t rows, bool inverse, const void* in,
                    void* out, const Stream& s);

}  // namespace mlx::core::cuda
