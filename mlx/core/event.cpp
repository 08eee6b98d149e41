// Events are made by the backend of their stream's device.
#include "mlx/event.h"

#include "mlx/backend/backend.h"
#include "mlx/core/interrupt.h"

namespace mlx::core {

Event::Event(Stream stream) : state_(backend_of(stream.device.type)->new_event(stream)) {}

void Event::wait() const {
  while (!state_->wait_for(interrupt_period)) {
    raise_interrupts();
  }
}

}  // namespace mlx::core
