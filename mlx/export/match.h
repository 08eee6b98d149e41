// Which trace of a function serves given arguments.
#pragma once

#include <string>
#include <vector>

#include "mlx/export/exporter.h"
#include "mlx/export/stored.h"

namespace mlx::core {

/** The arrays in the order of the trace's arguments; empty if the trace does not serve them, or has
 *  no arguments. `shapeless` tells whether extents differ from the trace's. */
struct Match {
  bool serves = false, shapeless = false;
  std::vector<array> inputs;
};

Match match(const StoredTrace& trace, const NamedArrays& arguments);

/** What fits no trace, and what would have. */
std::string no_match_message(const std::vector<StoredTrace>& traces, const NamedArrays& arguments);

}  // namespace mlx::core
