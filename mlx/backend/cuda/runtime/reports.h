// Faults that a kernel finds, such as an index outside its array: the kernel writes them into host
// memory of its own, and the arrays that its result went into raise them when they are asked for.
#pragma once

#include <memory>

#include "mlx/array.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

/** Where one kernel reports, an address for host and device, and what its results carry. */
struct FaultReport {
  kernels::Fault* slot;
  std::shared_ptr<Doubt> doubt;
};

/** For the kernel that is enqueued next on the stream. */
FaultReport open_report(const Stream& s);

}  // namespace mlx::core::cuda
