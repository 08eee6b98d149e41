// fast.cross_entropy: checks and dtype rules of the loss of class indices.
#include "mlx/primitives/cross_entropy.h"

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
  check(logits.shape(-1) > 0, op, "logits of shape ", logits.shape(), " have no classes.");
  Dtype dtype = targets.dtype();
  bool as_is = dtype == int32 || dtype == uint32 || dtype == int64;
  return CrossEntropy::outputs_of({logits, as_is ? targets : astype(targets, int64, s)},
                                  to_stream(s))[0];
}

}  // namespace mlx::core::fast
