// Threads and strides around the row kernels of updates.
#include "mlx/backend/cpu/combine.h"

#include <algorithm>

#include "mlx/backend/cpu/copy.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {
constexpr int64_t kElementsPerTask = 1 << 15;
}

void take_over(const array& source, array& out) {
  if (!write_over(source, out)) {
    copy(source, out);
  }
}

void combine_strided(UpdateMode mode, Dtype dtype, void* target, const Strides& target_strides,
                     const void* update, const Strides& update_strides, const Shape& shape) {
  if (mode == UpdateMode::Replace) {
    copy_strided(update, update_strides, target, target_strides, shape, dtype.size());
    return;
  }
  CollapsedLayout layout = collapse_dims(shape, {target_strides, update_strides});
  auto& extents = layout.shape;
  const auto& strides = layout.strides;
  int64_t row = extents.back(), rows = 1;
  int64_t to_step = strides[0].back(), from_step = strides[1].back();
  extents.pop_back();
  for (int64_t extent : extents) {
    rows *= extent;
  }
  auto kernel = combine_row(mode, dtype);
  int64_t size = dtype.size();
  auto run = [&](int64_t r, int64_t begin, int64_t end) {
    int64_t to = element_offset(r, extents, strides[0]) + begin * to_step;
    int64_t from = element_offset(r, extents, strides[1]) + begin * from_step;
    kernel(static_cast<char*>(target) + to * size, to_step,
           static_cast<const char*>(update) + from * size, from_step, end - begin);
  };
  if (rows == 1) {
    parallel_for(row, kElementsPerTask, [&](int64_t begin, int64_t end) { run(0, begin, end); });
    return;
  }
  int64_t grain = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, row));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      run(r, 0, row);
    }
  });
}

}  // namespace mlx::core::cpu
