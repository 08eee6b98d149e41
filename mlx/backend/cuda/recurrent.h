// Which kernel runs a recurrent layer and how its work is dealt out. Needs no GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/recurrent.h"

namespace mlx::core::cuda {

struct RecurrentSizes {
  Dtype dtype;
  int64_t rows, units;
  int64_t depth;  // what multiplies a vector of the weight: units, or units of all gates backwards
  int64_t vectors;  // of the weight for each unit
};

struct RecurrentDevice {
  int64_t multiprocessors;
  int64_t shared_bytes;  // that a block may have
  bool clusters;
};

struct RecurrentPlan {
  int rows;         // of a block: 1, 2, 4 or 8; 0 where one unit is too much for a block
  unsigned blocks;  // that share the units
  bool clustered;   // they go through all steps as a cluster; else a kernel does one step
  int64_t units_per_block, stride;
  size_t shared_bytes;
};

RecurrentPlan plan_recurrent(const RecurrentSizes& sizes, const RecurrentDevice& device);

/** `function` is recurrent_forward or recurrent_backward. */
KernelCall recurrent_call(const char* function, RecurrentSpec::Kind kind, Dtype dtype, int rows,
                          bool clustered);

}  // namespace mlx::core::cuda
