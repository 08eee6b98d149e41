// Faults that a kernel finds, such as an index outside its array: the kernel writes them into host
// memory of its own, and the arrays that its result went into raise them when they are asked for.
#pragma once

#include <span>

#include "mlx/array.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

/** Where the kernel that is enqueued next on the stream reports: an address for host and device.
 *  `results` carry what it may report. */
kernels::Fault* open_report(std::span<const array> results, const Stream& s);
inline kernels::Fault* open_report(const array& result, const Stream& s) {
  return open_report({&result, 1}, s);
}

/** The same where kernels of one evaluation that have an equal `cause` meet the same fault or none:
 *  neighbours of that sort share a report, and their results a doubt. */
kernels::Fault* open_report(const array& result, const Strides& cause, const Stream& s);

}  // namespace mlx::core::cuda
