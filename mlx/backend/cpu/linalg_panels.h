// Factoring a matrix by panels of columns, whose work is shared by threads without a join from
// panel to panel.
#pragma once

#include "mlx/core/function_ref.h"

namespace mlx::core::cpu {

/** How many panels are in use at the same time at most. */
constexpr int kept_panels = 3;

struct PanelSteps {
  int columns;          // that have panels, from the first on
  int all_columns;      // of the matrix
  int columns_of_task;  // of which a panel has a whole number

  /** Factors a panel whose columns are up to date; its place is free of the one `kept_panels`
   *  before. */
  FunctionRef<void(int panel)> factor;

  /** What is left to do for it while others already apply it. */
  FunctionRef<void(int panel)> finish;

  /** Does to `count` columns on its right what it leaves of them. */
  FunctionRef<void(int panel, int column, int count)> apply;
};

/** Panels have `lu_panel` columns. No step may throw. Each runs once, and those on the same columns
 * in the order of panels. */
void run_panels(const PanelSteps& steps);

}  // namespace mlx::core::cpu
