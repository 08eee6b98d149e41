// The arguments of the kernels of recurrent layers. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** Dense arrays, as RecurrentSpec's nodes have them; null where there is none. */
struct RecurrentCall {
  int64_t rows, length, units;
  int64_t begin, end;  // steps: forward from begin up to end, backward from end - 1 down to begin
  int64_t units_per_block;  // blocks along x share the units, those along y the rows
  int64_t stride;           // of the weight's vectors and of what they multiply, in shared memory
  const void *weight, *bias, *projections;
  const void *hidden, *cell;     // before the first step
  void *hiddens, *cells, *kept;  // what the forward makes
  const void *hidden_cotangent, *cell_cotangent;
  void *projections_grad, *recurrent_grad, *hidden_grad, *cell_grad;
  void* carry;  // (rows, units) of the type computed in: from a step back to the one before
};

}  // namespace mlx::core::kernels
