// A cluster of up to eight blocks takes a layer if their shared memory holds the weight. Rows are
// dealt out so that all multiprocessors have some: steps are bound by latency.
#include <algorithm>

#include "mlx/backend/cuda/kernels/recurrent_call.h"
#include "mlx/backend/cuda/recurrent.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t most_blocks = 8, warps = 8;
constexpr int most_rows = 8;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** A multiple of four; a little more than the depth, for the banks of shared memory. */
int64_t stride_of(int64_t depth) { return ceil_div(depth, 4) * 4 + 4; }

int64_t shared_bytes(const RecurrentSizes& sizes, int64_t units, int rows) {
  auto stored = static_cast<int64_t>(sizes.dtype.size()), computed = std::max<int64_t>(4, stored);
  return stride_of(sizes.depth) * (units * sizes.vectors * stored + 2 * rows * computed);
}

}  // namespace

RecurrentPlan plan_recurrent(const RecurrentSizes& sizes, const RecurrentDevice& device) {
  RecurrentPlan plan{};
  plan.stride = stride_of(sizes.depth);
  auto fits = [&](int64_t units, int rows) {
    return shared_bytes(sizes, units, rows) <= device.shared_bytes;
  };
  int64_t blocks = 1;
  while (blocks < most_blocks && ceil_div(sizes.units, blocks) > warps) blocks *= 2;
  int rows = 1;
  while (rows < most_rows && ceil_div(sizes.rows, rows) * blocks > device.multiprocessors)
    rows *= 2;
  while (rows > 1 && !fits(ceil_div(sizes.units, blocks), rows)) rows /= 2;
  int64_t units = ceil_div(sizes.units, blocks);
  plan.clustered = device.clusters && fits(units, rows);
  if (!plan.clustered) {
    units = std::min(sizes.units, warps);
    rows = static_cast<int>(std::min<int64_t>(most_rows, sizes.rows));
    rows = rows > 4 ? 8 : rows > 2 ? 4 : rows;
    while (units > 1 && !fits(units, rows)) units /= 2;
    while (rows > 0 && !fits(units, rows)) rows /= 2;
    blocks = ceil_div(sizes.units, units);
  }
  plan.rows = rows;
  plan.blocks = static_cast<unsigned>(blocks);
  plan.units_per_block = units;
  plan.shared_bytes = static_cast<size_t>(shared_bytes(sizes, units, rows));
  return plan;
}

KernelCall recurrent_call(const char* function, RecurrentSpec::Kind kind, Dtype dtype, int rows,
                          bool clustered) {
  constexpr const char* kinds[] = {"lstm_layer", "gru_layer", "tanh_layer", "relu_layer"};
  return {"recurrent.h", "RecurrentCall",
          std::string(function) + "<" + type_name(dtype) + ", " + kinds[kind] + ", " +
              std::to_string(rows) + ", " + (clustered ? "true>" : "false>")};
}

}  // namespace mlx::core::cuda
