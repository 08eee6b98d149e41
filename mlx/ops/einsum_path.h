// What an einsum computes, free of arrays' data, and the order in which its operands are
// contracted.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/** A letter, or kEllipsis + i for the i-th axis from the right that an ellipsis stands for. */
using Label = int;
using Labels = std::vector<Label>;
using LabelSet = std::set<Label>;
using Extents = std::map<Label, double>;

/** An einsum of which only the arithmetic is left: what to contract and what comes out. */
struct EinsumProblem {
  std::vector<Labels> inputs;
  Labels output;
  Extents extents;
};

/** One contraction of the path. */
struct EinsumStep {
  std::vector<int> operands;  // positions; the result is appended after they are removed
  size_t scaling;
  double flops;
};

/** Reads the subscripts and checks them against the operands. Throws std::invalid_argument. */
EinsumProblem analyse_einsum(const std::string& subscripts, const std::vector<array>& operands);

/** The steps that contract all operands, each the one that removes most elements. */
std::vector<EinsumStep> greedy_path(const EinsumProblem& problem);

}  // namespace mlx::core::detail
