// Modes for looking for mistakes in a program: what they find is worth more than the time they
// cost. Nothing costs time while they are off.
#pragma once

#include <stdexcept>

namespace mlx::core {

struct DebugOptions {
  /**
   * Each step's floating-point results are looked at. One with a NaN that came from none of its
   * inputs fails with NanError, which names the op, shapes, dtypes and, where a host language says
   * it, the line that built it; what depends on it fails alike. Ops run one by one meanwhile, never
   * fused. NaN in data, such as constants, files and messages of other processes, is nobody's
   * failure, and neither is what is made of them; infinities are not NaN.
   */
  bool nan_checks = false;
};

/** The modes from now on. Steps that are under way, and lines of what has been built, are as they
 *  were. Programs may also be started with MLX_NAN_CHECKS=1. */
void set_debug(const DebugOptions& options);

DebugOptions debug_options();

/** An op made a NaN; raised where a value that depends on it is asked for. */
class NanError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mlx::core
