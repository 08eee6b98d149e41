// A plan: what to run, in which order, on which streams. It is a value made from a graph's
// structure and holds no arrays: they are bound to it when it runs, so that the next graph of the
// same structure needs no planning.
#pragma once

#include <memory>
#include <vector>

#include "mlx/graph/batch.h"
#include "mlx/graph/program_builder.h"
#include "mlx/graph/steps.h"
#include "mlx/primitives/fused.h"

namespace mlx::core::detail {

struct PlannedStep {
  /** Number of the stream. */
  uint32_t stream = 0;
  /** The node whose primitive runs, alone or within a recipe; none for a program alone. */
  uint32_t root = Walk::none;
  /** Further nodes that run with `root`. */
  std::vector<uint32_t> joined;
  /** Set if more runs than the node `root` itself. Then come: */
  std::shared_ptr<const Recipe> recipe;
  /** How often the program alone runs, each time with arrays of its own, in their order. */
  size_t runs = 1;
  std::vector<Reading> inputs;
  std::vector<uint32_t> outputs;
  /** Earlier steps of other streams that have to be done first. */
  std::vector<uint32_t> waits;
  /** Whether a step of another stream waits for this one. */
  bool signals = false;
};

struct Plan {
  std::vector<PlannedStep> steps;
  size_t nodes = 0;  // of the walk that it was made from
};

/** What is to run, bound to the arrays of one graph. */
struct BoundPlan {
  std::vector<Batch> batches;
  /** Bytes read and written, the measure of whether it is worth a hand-over to a thread. */
  size_t bytes = 0;
};

/** The plan for the structure of `walk`. */
Plan make_plan(const Walk& walk);

/**
 * Puts the arrays of a graph into the plan of its structure and takes the graph apart: every array
 * that will get data is marked as evaluated. Traced arrays keep their graph.
 */
BoundPlan bind(const Plan& plan, const Walk& walk);

/** Plans, or finds the plan of an earlier graph of the same structure, and binds. To be called with
 *  the graph lock held. */
BoundPlan plan_evaluation(const std::vector<array>& outputs);

/** A graph's bound plan, and where it is kept; nullptr if it is not. */
struct PlannedGraph {
  BoundPlan bound;
  std::shared_ptr<const Plan> plan;
};

/** The same by way of a walk over the graph. */
PlannedGraph plan_graph(const std::vector<array>& outputs);

/** No steps, with room for so many. */
std::vector<Step> take_steps(size_t count);

/** Takes what is left of a batch that has run; the next plan is bound in its room. */
void recycle(Batch batch);

/** Whether nodes are fused; compile modes and tests turn it off. */
void set_fusion_enabled(bool enabled);
/** Whether nodes are kept apart whatever the mode, so that each can be looked at. */
void set_steps_apart(bool apart);
bool fusion_enabled();

}  // namespace mlx::core::detail
