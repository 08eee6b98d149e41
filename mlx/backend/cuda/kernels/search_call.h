// The arguments of searching, and of finding distinct values. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct Search {
  int64_t count, length;
  int64_t right;  // whether equal elements come before the value
  const void* values;
  const void* sequence;
  uint32_t* out;
};

struct Distinct {
  int64_t count, size;     // elements, and slots for distinct values
  const void* keys;        // sorted
  const uint32_t* places;  // where each came from
  uint32_t* numbers;       // for each key, of its distinct value, from 1
  uint32_t* starts;        // for each slot and the one behind, its first key
  uint32_t* positions;
  uint32_t* inverse;
  int32_t* counts;
};

}  // namespace mlx::core::kernels
