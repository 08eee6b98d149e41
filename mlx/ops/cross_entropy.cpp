// fast.cross_entropy: the loss of class indices, from plain ops.
#include "mlx/core/errors.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core::fast {

array cross_entropy(const array& logits, const array& targets, StreamOrDevice s) {
  constexpr const char* op = "cross_entropy";
  check(logits.ndim() > 0, op, "logits must have at least one dimension.");
  check(issubdtype(logits.dtype(), floating), op, "needs floating logits but got ",
        dtype_name(logits.dtype()), ".");
  check(issubdtype(targets.dtype(), integer), op, "targets must be integer class indices but have ",
        "dtype ", dtype_name(targets.dtype()), ".");
  Shape expected(logits.shape().begin(), logits.shape().end() - 1);
  check(targets.shape() == expected, op, "targets of shape ", targets.shape(),
        " do not match logits of shape ", logits.shape(), " without the last axis.");
  array x = logits.dtype().size() < 4 ? astype(logits, float32, s) : logits;
  array classes = array(logits.shape(-1), targets.dtype());
  array zero = array(0, targets.dtype());
  array valid = logical_and(greater_equal(targets, zero, s), less(targets, classes, s), s);
  array index = expand_dims(where(valid, targets, zero, s), -1, s);
  array score = squeeze(take_along_axis(x, index, -1, s), -1, s);
  score = where(valid, score, array(0, x.dtype()), s);
  return astype(subtract(logsumexp(x, -1, false, s), score, s), logits.dtype(), s);
}

}  // namespace mlx::core::fast
