// What this thread's floating-point instructions do with denormal numbers, those nearer to zero
// than the smallest normal one. Many processors multiply them some hundred times more slowly than
// others. Products and convolutions of gradients that vanish meet nothing else, so they take them
// as zeros, but in double, which is asked for to keep what float loses.
#pragma once

#include <xmmintrin.h>

#include <cstdint>

#include "mlx/dtype.h"

namespace mlx::core {

// The thread's mode of floating-point arithmetic, without what is only reported.
inline uint32_t float_mode() {
  constexpr uint32_t kReports = 0x3f;
  return _mm_getcsr() & ~kReports;
}

inline void set_float_mode(uint32_t mode) {
  if (float_mode() != mode) _mm_setcsr(mode);
}

// While it lives, this thread and the loops that it starts take denormal operands as zeros and give
// zeros instead of denormal results, or compute with all numbers.
class Denormals {
 public:
  enum Kind { as_zeros, kept };

  explicit Denormals(Kind kind) : before_(float_mode()) {
    constexpr uint32_t kResults = 0x8000, kOperands = 0x40;
    uint32_t others = before_ & ~(kResults | kOperands);
    set_float_mode(kind == kept ? others : others | kResults | kOperands);
  }
  ~Denormals() { set_float_mode(before_); }
  static Kind in_products(Dtype dtype) { return real_dtype(dtype) == float64 ? kept : as_zeros; }

  Denormals(const Denormals&) = delete;
  Denormals& operator=(const Denormals&) = delete;

 private:
  uint32_t before_;
};

}  // namespace mlx::core
