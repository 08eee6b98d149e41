// Kernels that make arrays from nothing: counting.
#pragma once

#include "mlx/backend/cuda/kernels/creation_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

template <typename T>
MLX_FN void count_up(const Counting& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count) return;
  if constexpr (is_integer<T>) {
    store<T>(p.out, i, static_cast<T>(p.first + static_cast<uint64_t>(i) * p.by));
  } else {
    double value = p.start + static_cast<double>(i) * p.step;
    if constexpr (is_same<T, double>) {
      store<T>(p.out, i, value);
    } else if constexpr (is_complex<T>) {
      store<T>(p.out, i, T{static_cast<RealOf<T>>(value), 0});
    } else {
      store<T>(p.out, i, rounded<T>(static_cast<float>(value)));
    }
  }
}

}  // namespace mlx::core::kernels
