// Which function runs a primitive on the CPU, by the primitive's type. Each file enters its own.
#pragma once

#include "mlx/backend/common/registry.h"

namespace mlx::core::cpu {

PrimitiveTable& primitive_table();

/** One static object of this kind per primitive: `const Register<Arange> arange(eval_arange);`, or
 *  `(eval, supports)` where not all inputs are supported. */
template <typename P>
using Register = RegisterIn<P, primitive_table>;

}  // namespace mlx::core::cpu
