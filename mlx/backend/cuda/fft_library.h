// Fourier transforms of rows by cuFFT, which is opened at the first use.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/stream.h"

namespace mlx::core::cuda {

enum class RowTransform {
  complex,       // n numbers to n
  to_half,       // n floats to n / 2 + 1 numbers
  from_half,     // the reverse
  wide_complex,  // as complex, in double
};

/** Unscaled transforms of `batch` dense arrays over all their axes, which have these lengths; one
 *  of half a spectrum halves the last of them. */
struct RowsCall {
  RowTransform kind;
  std::vector<int64_t> lengths;
  int64_t batch;
  bool inverse;
};

/** Queues the transforms. Lengths are at least 2; addresses are multiples of 16; from_half may
 *  change its input. Returns false, and queues nothing, if the library refuses several axes of such
 *  lengths. Throws where the library is not installed. */
bool transform_rows(const RowsCall& call, const void* in, void* out, const Stream& s);

}  // namespace mlx::core::cuda
