// Diagonals: a view that steps along both axes at once.
#include "mlx/primitives/diagonal.h"

#include <algorithm>

#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

void eval_diagonal(Diagonal& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const array& in = inputs[0];
  if (outputs[0].size() == 0) {
    outputs[0].set_data(allocator::malloc(0));
    return;
  }
  int64_t row = in.strides(-2), column = in.strides(-1);
  Strides strides(in.strides().begin(), in.strides().end() - 1);
  strides.back() = row + column;
  int64_t begin =
      primitive.offset() >= 0 ? primitive.offset() * column : -int64_t{primitive.offset()} * row;
  share_view(in, outputs[0], strides, begin);
}

const Register<Diagonal> diagonal(eval_diagonal);

}  // namespace

}  // namespace mlx::core::cpu
