// Errors that are ours, not the caller's.
#include "mlx/core/errors.h"

namespace mlx::core {

void internal_error(const char* file, int line, const std::string& message) {
  throw std::logic_error(std::string("internal error at ") + file + ":" + std::to_string(line) +
                         ": " + message);
}

}  // namespace mlx::core
