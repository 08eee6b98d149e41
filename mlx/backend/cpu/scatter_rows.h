// What the threads of a scatter share, and the scatter of whole rows into a copy of the source.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/core/layout.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cpu {

struct ScatterWork {
  UpdateMode mode;
  Dtype dtype;
  char* target;
  const char* updates;
  std::vector<int64_t> offsets;  // of each position in the target
  CollapsedLayout positions;     // walks the updates' positions
  CollapsedLayout slice;         // walks one slice of target [0] and updates [1]
  int64_t slice_elements;

  int64_t count() const { return static_cast<int64_t>(offsets.size()); }
  int64_t update_offset(int64_t position) const {
    return element_offset(position, positions.shape, positions.strides[0]);
  }
};

/** Whether slices are rows of the row-contiguous `out`, of a length that suits scatter_rows, and
 *  `source` (row contiguous or one repeated element) is not `out` itself. */
bool scatters_rows(const ScatterWork& work, const array& source, const array& out);

/**
 * out = source with the updates, in one pass over both: positions are sorted by row, then each row
 * is made in cache and written once. `out` has memory, whatever it holds.
 */
void scatter_rows(const ScatterWork& work, const array& source, array& out);

}  // namespace mlx::core::cpu
