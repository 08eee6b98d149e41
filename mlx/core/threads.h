// The one way in which the library starts threads of its own.
#pragma once

#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "mlx/core/faults.h"

namespace mlx::core {

/** Runs f in a thread that nobody joins. Throws std::system_error if there can be no thread. */
template <typename F>
void start_thread(F f) {
  if (faults::strikes(faults::Point::thread)) {
    throw std::system_error(errno, std::generic_category(), "no thread can be started");
  }
  std::thread(std::move(f)).detach();
}

}  // namespace mlx::core
