// Many reflectors applied to columns on the CPU, by blocks, as matrix products. LAPACK's own way
// takes its lock too often for several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/backend/cpu/lapack.h"

namespace mlx::core::cpu {

/** Where a factorisation left the vectors of its reflectors: v has zeros before element
 *  i + `offset`, which is 1 and not stored; element r of vector i is at
 *  data[r * element_step + i * vector_step], conjugated where `conjugate`. */
template <typename T>
struct ReflectorVectors {
  const T* data;
  int64_t element_step, vector_step;
  int rows, count, offset;
  bool conjugate;
};

/** H(0) H(1) ... H(count - 1), where H = 1 - tau v v^H. */
template <typename T>
class Reflections {
 public:
  Reflections(const ReflectorVectors<T>& vectors, const T* tau);

  /** Applies them to `columns` columns in place, column major. For several threads at once. */
  void apply(T* c, int stride, int columns) const;

 private:
  int height_of(int block) const;
  int width_of(int block) const;
  void form(int block, const T* tau);

  ReflectorVectors<T> from_;
  std::vector<std::vector<T>> vectors_, triangles_;  // of each block: V, and T of 1 - V T V^H
};

}  // namespace mlx::core::cpu
