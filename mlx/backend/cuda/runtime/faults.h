// Faults that a kernel finds, such as an index outside its array: the kernel writes them into host
// memory, and whoever waits for the work gets them raised.
#pragma once

#include <exception>

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::cuda {

/** Where kernels report; also an address on the device. */
kernels::Fault* fault_slot();

bool has_fault();

/** The reported fault as a std::out_of_range, or nothing; it is reported no longer. */
std::exception_ptr take_fault();

}  // namespace mlx::core::cuda
