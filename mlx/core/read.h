// Evaluation for a host that reads the value next.
#pragma once

#include "mlx/array.h"

namespace mlx::core::detail {

/** Evaluates and waits, as array::eval; a value on a device is on its way to the host meanwhile. */
void eval_to_read(const array& a);

}  // namespace mlx::core::detail
