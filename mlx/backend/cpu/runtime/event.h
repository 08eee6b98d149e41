// Events of the CPU.
#pragma once

#include <memory>

#include "mlx/event.h"

namespace mlx::core::cpu {

/** An event that blocks threads until it is signalled. */
std::shared_ptr<EventState> make_event(const Stream& stream);

}  // namespace mlx::core::cpu
