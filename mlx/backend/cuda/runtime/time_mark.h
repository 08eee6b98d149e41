// Moments in the work of a CUDA stream, on the host's clock.
#pragma once

#include <memory>

#include "mlx/backend/backend.h"

namespace mlx::core::cuda {

/** As `Backend::mark_end` and `mark_begin`; what was recorded is started first. */
std::shared_ptr<TimeMark> mark_end(const Stream& s);
std::shared_ptr<TimeMark> mark_begin(const Stream& s);

}  // namespace mlx::core::cuda
