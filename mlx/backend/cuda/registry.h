// Which function runs a primitive on the GPU, by the primitive's type. Each file enters its own.
#pragma once

#include "mlx/backend/common/registry.h"

namespace mlx::core::cuda {

PrimitiveTable& primitive_table();

/** One static object of this kind per primitive: `const Register<Arange> arange(eval_arange);`,
 *  `(eval, supports)` where not all inputs are supported, or `(eval, supports, foresee)` where the
 *  kernels can be told ahead (see foresight.h). */
template <typename P>
using Register = RegisterIn<P, primitive_table>;

}  // namespace mlx::core::cuda
