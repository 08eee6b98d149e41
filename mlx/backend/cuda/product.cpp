// Arguments of the kernels that multiply in tiles.
#include "mlx/backend/cuda/product.h"

#include <utility>

#include "mlx/backend/cuda/kernels/product_call.h"
#include "mlx/backend/cuda/kernels/product_sizes.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using namespace kernels;

ProductOperand operand_of(const MatrixOperand& operand, const Picks& picks) {
  int64_t row = operand.stride, column = 1;
  if (operand.transposed) std::swap(row, column);
  return {
      operand.data, row, column, operand.batch_stride, static_cast<const int64_t*>(picks.numbers),
      picks.count};
}

int64_t tiles(int64_t size, int64_t each) { return (size + each - 1) / each; }

}  // namespace

void multiply_in_tiles(const Product& p, const Selection& selection, const Stream& s) {
  bool few = p.m <= few_rows;
  Products call{};
  call.m = p.m;
  call.n = p.n;
  call.k = p.k;
  call.batch = p.batch;
  call.alpha = p.alpha;
  call.beta = p.beta;
  call.a = operand_of(p.a, selection.a);
  call.b = operand_of(p.b, selection.b);
  call.out = p.out;
  call.out_batch = p.out_batch_stride;
  call.segments = static_cast<const int64_t*>(selection.segments);
  call.fault = selection.fault;
  int64_t blocks = few ? tiles(p.m, few_rows) * tiles(p.n, few_rows_columns)
                       : tiles(p.m, many_rows) * tiles(p.n, many_rows_columns);
  launch(kernel_of(product_call(p.dtype, few), s), blocks_for(blocks * p.batch, 1), product_threads,
         s, call);
}

KernelCall product_call(Dtype dtype, bool few) {
  return {"product.h", "Products",
          std::string("multiply_tiles<") + type_name(dtype) + ", " +
              std::to_string(few ? few_rows : many_rows) + ", " +
              std::to_string(few ? few_rows_columns : many_rows_columns) + ">",
          product_threads};
}

}  // namespace mlx::core::cuda
