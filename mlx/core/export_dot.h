// Drawing a graph that is still to be computed, for people: the DOT language of Graphviz.
#pragma once

#include <ostream>
#include <string>
#include <unordered_map>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** Names of arrays by `array::id`. */
using ArrayNames = std::unordered_map<std::uintptr_t, std::string>;

/**
 * Writes a digraph of all that `outputs` are made from: a box per primitive, a node per array.
 * Arrays without a name get the letters A, B, … in the order in which they are met, inputs first.
 * Evaluates nothing; arrays that have been evaluated stand for themselves.
 */
void export_to_dot(std::ostream& os, const std::vector<array>& outputs, ArrayNames names = {});

}  // namespace mlx::core
