// From element-wise nodes of the walk to the program that computes them together.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Input `position` of a node: where an array is found again in another graph of the structure. */
struct Reading {
  uint32_t node;
  uint32_t position;
};

/** A program with the readings that are its inputs, and the nodes that are its outputs. */
struct BuiltProgram {
  Program program;
  std::vector<Reading> inputs;
  std::vector<uint32_t> outputs;
};

/**
 * The program of element-wise nodes, inputs before users. Its outputs are the values that somebody
 * else needs: the caller of the evaluation, holders outside, or other nodes. With `first_input`, a
 * node, the first result of that is input 0 and has no entry among the readings.
 */
BuiltProgram build_program(const Walk& walk, const std::vector<uint32_t>& nodes,
                           uint32_t first_input = Walk::none);

/** The program of the prologue of a step, with what it makes again of other steps. */
BuiltProgram build_prologue(const Walk& walk, const GraphStep& step);

}  // namespace mlx::core::detail
