// Gives out the version that the build passes in as MLX_VERSION.
#include "mlx/version.h"

namespace mlx::core {

const char* version() { return MLX_VERSION; }

}  // namespace mlx::core
