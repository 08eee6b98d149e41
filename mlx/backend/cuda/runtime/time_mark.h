// Moments in the work of a CUDA stream, on the host's clock.
#pragma once

#include <memory>

#include "mlx/backend/backend.h"

namespace mlx::core::cuda {

/** Marks the moment after all work queued on `s` so far; what was recorded is started first. */
std::shared_ptr<TimeMark> make_time_mark(const Stream& s);

}  // namespace mlx::core::cuda
