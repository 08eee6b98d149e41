// Events are made by the backend of their stream's device.
#include "mlx/event.h"

#include "mlx/backend/backend.h"

namespace mlx::core {

Event::Event(Stream stream) : state_(backend_of(stream.device.type)->new_event(stream)) {}

}  // namespace mlx::core
