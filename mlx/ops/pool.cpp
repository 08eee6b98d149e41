// Pooling: checks and dtype rules.
#include "mlx/ops/pool.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/pool.h"

namespace mlx::core::detail {

namespace {

constexpr const char* op = "pool";

void check_entries(const char* what, const std::vector<int>& values, int least, const array& x) {
  check(values.size() + 2 == x.ndim(), op, "needs one entry of the ", what,
        " for each spatial axis of an input with shape ", x.shape(), " but got ", values.size(),
        ".");
  for (int value : values) {
    check(value >= least, op, "the ", what, " cannot have the entry ", value, ".");
  }
}

}  // namespace

array pool(const array& x, const std::string& kind, const std::vector<int>& kernel,
           const std::vector<int>& stride, const std::vector<int>& padding, StreamOrDevice s) {
  check(kind == "max" || kind == "mean", op, "unknown kind '", kind, "'.");
  check(x.ndim() >= 3, op, "needs (n, spatial..., c) but got shape ", x.shape(), ".");
  check_entries("kernel", kernel, 1, x);
  check_entries("stride", stride, 1, x);
  check_entries("padding", padding, 0, x);
  Stream stream = to_stream(s);
  PoolSpec spec{kind == "max" ? PoolSpec::Max : PoolSpec::Mean, kernel, stride, padding};
  bool widens = spec.kind == PoolSpec::Mean && !issubdtype(x.dtype(), inexact);
  array in = widens ? astype(x, float32, stream) : x;
  return array(spec.windows(in.shape()), in.dtype(), std::make_shared<Pool>(stream, spec), {in});
}

}  // namespace mlx::core::detail
