// The arguments of the conversion of rows. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct SpectrumRows {
  int64_t rows, in_length, out_length;
  int64_t half_of;   // where the input is half a spectrum, the length of the whole; else 0
  int64_t outer[2];  // the lengths of the axes in front that are transformed as well, or 1
  double scale;
  const void* in;
  void* out;
};

}  // namespace mlx::core::kernels
