// Programs that are too long for one kernel: the compiler's time grows faster than their length.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/core/program.h"

namespace mlx::core::cuda {

bool fits_one_kernel(const Program& program);

/** Runs a program as several, which pass values on in memory. */
void run_in_parts(const Program& program, const std::vector<array>& inputs,
                  std::vector<array>& outputs, const Stream& s);

/** Runs a program that fits. */
void run_kernel(const Program& program, const std::vector<array>& inputs,
                std::vector<array>& outputs, const Stream& s,
                const std::vector<bool>& generated = {});

}  // namespace mlx::core::cuda
