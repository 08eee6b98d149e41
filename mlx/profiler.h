// What was run, step by step: the record behind `mlx.profiler` in Python. Steps are seen where they
// run, fused as they are, and cost nothing more while nobody records.
#pragma once

#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core::profiler {

struct Tensor {
  Shape shape;
  Dtype dtype;
};

/** One step of a plan, as it ran. */
struct Step {
  /** What the graph's nodes are called, in order: several where they were fused. */
  std::vector<std::string> ops;
  std::vector<Tensor> inputs, outputs;
  /** Read and written, each buffer once; none for a step that only looks at memory another way. */
  size_t bytes = 0;
  /** Arithmetic operations, a multiplication and addition counted as two. Products, convolutions,
   *  attention, Fourier transforms and element-wise programs are counted exactly; everything else
   * as one for each element that it reads. */
  double operations = 0;
  /** In microseconds, `start` since the recording began; on a device, by its own events. */
  double start = 0, duration = 0;
  Stream stream{0, Device::cpu};
  /** The system's number of the thread that ran it or queued it. */
  long thread = 0;
  /** Where the user's program made the step's last node, if that is known: see begin_origins. */
  std::string origin;
};

/** Records every step from now on. Throws std::runtime_error if it is being done already. */
void start();

/** Ends the recording and waits for the devices; the steps in the order in which they began. Steps
 *  that failed are not among them. Throws std::runtime_error if nothing is being recorded. */
std::vector<Step> stop();

}  // namespace mlx::core::profiler
