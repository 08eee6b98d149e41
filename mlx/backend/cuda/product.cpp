// Arguments of the kernels that multiply in tiles.
#include "mlx/backend/cuda/product.h"

#include "mlx/backend/cuda/kernels/product_sizes.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using namespace kernels;

void add_operand(Parameters& parameters, const MatrixOperand& operand, const Picks& picks) {
  parameters.add(operand.data);
  parameters.add(operand.transposed ? int64_t{1} : operand.stride);
  parameters.add(operand.transposed ? operand.stride : int64_t{1});
  parameters.add(operand.batch_stride);
  parameters.add(picks.numbers);
  parameters.add(picks.count);
}

int64_t tiles(int64_t size, int64_t each) { return (size + each - 1) / each; }

}  // namespace

void multiply_in_tiles(const Product& p, const Selection& selection, const Stream& s) {
  bool few = p.m <= few_rows;
  Parameters parameters;
  for (int64_t x : {p.m, p.n, p.k, p.batch}) {
    parameters.add(x);
  }
  for (double factor : {double{p.alpha}, double{p.beta}}) {
    parameters.add_value(&factor, sizeof(factor));
  }
  add_operand(parameters, p.a, selection.a);
  add_operand(parameters, p.b, selection.b);
  parameters.add(static_cast<const void*>(p.out));
  parameters.add(p.out_batch_stride);
  parameters.add(selection.segments);
  parameters.add(static_cast<const void*>(selection.fault));
  int64_t blocks = few ? tiles(p.m, few_rows) * tiles(p.n, few_rows_columns)
                       : tiles(p.m, many_rows) * tiles(p.n, many_rows_columns);
  parameters.launch(kernel_of(product_call(p.dtype, few), s), blocks_for(blocks * p.batch, 1),
                    product_threads, s);
}

KernelCall product_call(Dtype dtype, bool few) {
  return {"product.h", "Products",
          std::string("multiply_tiles<") + type_name(dtype) + ", " +
              std::to_string(few ? few_rows : many_rows) + ", " +
              std::to_string(few ? few_rows_columns : many_rows_columns) + ">",
          product_threads};
}

}  // namespace mlx::core::cuda
