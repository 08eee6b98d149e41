// What makes two loads the same.
#include "mlx/primitives/load.h"

namespace mlx::core {

bool Load::is_equivalent(const Primitive& other) const {
  const auto* o = dynamic_cast<const Load*>(&other);
  return o && o->reader_ == reader_ && o->offset_ == offset_ &&
         o->swap_endianness_ == swap_endianness_;
}

}  // namespace mlx::core
