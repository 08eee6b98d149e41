// Memory as libraries are told of it.
#pragma once

#include <cstdint>
#include <vector>

namespace mlx::core::cuda {

struct LibraryTensor {
  std::vector<int64_t> shape, strides;
  const void* data;
};

}  // namespace mlx::core::cuda
