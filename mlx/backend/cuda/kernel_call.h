// A kernel that does one call of a function of the kernel headers: how it is named, written and
// found. Apart from what starts it, so that its text compiles without a GPU.
#pragma once

#include <string>

#include "mlx/backend/cuda/jit.h"

namespace mlx::core::cuda {

struct KernelCall {
  const char* header;      // in mlx/backend/cuda/kernels
  std::string parameters;  // the struct that the function takes
  std::string function;
  int threads = 256;  // of a block, at most
  int blocks = 1;     // that a multiprocessor must be able to hold
};

std::string source_of(const KernelCall& call);

Kernel kernel_of(const KernelCall& call, const Stream& s);

}  // namespace mlx::core::cuda
