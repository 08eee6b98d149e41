// What the tests of kernel texts share: dtypes, and compiling several calls at once.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core {

inline constexpr Dtype all_dtypes[] = {bool_,   uint8,   uint16,   uint32,    uint64,
                                       int8,    int16,   int32,    int64,     float16,
                                       float32, float64, bfloat16, complex64, complex128};
inline constexpr Dtype float_dtypes[] = {float16, float32, float64, bfloat16};

/** All calls of one header become kernels of one text. */
inline void expect_compiles(const std::vector<cuda::KernelCall>& calls) {
  std::string text;
  for (size_t i = 0; i < calls.size(); i++) {
    std::string source = cuda::source_of(calls[i]);
    source.insert(source.find("(const __grid_constant__"), std::to_string(i));
    text += source;
  }
  EXPECT_NO_THROW(cuda::compile_source(text, "sm_90"));
}

inline std::string dtype_label(const testing::TestParamInfo<Dtype>& info) {
  return dtype_name(info.param);
}

}  // namespace mlx::core
