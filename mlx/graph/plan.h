// A plan: what to run, in which order, on which streams, for one evaluation.
#pragma once

#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

struct Step {
  std::shared_ptr<Primitive> primitive;
  std::vector<array> inputs;
  std::vector<array> outputs;
  /** Work of other streams that has to be done first. */
  std::vector<Event> waits;
  /** Tells other streams that the step is done; valid only if one of them waits for it. */
  Event done;
};

/** Steps of one stream, in order. `done` follows the last one. */
struct Batch {
  explicit Batch(Stream stream) : stream(stream), done(stream) {}

  Stream stream;
  std::vector<Step> steps;
  Event done;

  /**
   * Runs all steps. A failure is kept with the outputs it concerns; nothing is thrown. After an
   * interrupt, steps whose results nobody holds any more are left out.
   */
  void run();

 private:
  void run(Step& step);
  void drop_unwanted(size_t next);
};

struct Plan {
  std::vector<Batch> batches;
  /** Bytes read and written, the measure of whether the plan is worth a hand-over to a thread. */
  size_t bytes = 0;
};

/**
 * Plans the evaluation of `outputs` and takes their graph apart: every array that will get data is
 * from now on a leaf with an event. Callers hold the planning lock.
 */
Plan make_plan(const std::vector<array>& outputs);

/** Whether element-wise nodes are fused; compile modes and tests turn it off. */
void set_fusion_enabled(bool enabled);
bool fusion_enabled();

}  // namespace mlx::core::detail
