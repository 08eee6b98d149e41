// How many cores the process may keep busy: the machine's, less what affinity and the limits of
// containers take away.
#pragma once

namespace mlx::core {

/** Cores by the process's affinity and the CPU quota of its control groups, rounded up; at least
 *  1. Asks the system at each call. */
int usable_cores();

}  // namespace mlx::core
