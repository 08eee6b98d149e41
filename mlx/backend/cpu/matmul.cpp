// Matrix products on the CPU: from shapes and strides to one call of the gemm engine.
#include "mlx/backend/cpu/matmul.h"

#include "mlx/primitives/matmul.h"

#include "mlx/backend/common/product_batch.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/epilogue.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/denormals.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

GemmOperand operand(const array& in, bool left) {
  int64_t row = in.strides(-2), col = in.strides(-1);
  return {in.data<char>(), left ? row : col, left ? col : row, nullptr};
}

/** The left operand, in order if one matrix multiplies all rows of its batch and they do not walk
 * as one: a copy takes less time than a product for each. */
array with_plain_rows(const array& a, const array& b) {
  if (b.ndim() > 2 || a.ndim() == 2) {
    return a;
  }
  Shape rows(a.shape().begin(), a.shape().end() - 1);
  Strides strides(a.strides().begin(), a.strides().end() - 1);
  return collapse_dims(rows, {strides}).shape.size() == 1 ? a : contiguous(a);
}

/** out = alpha * left b + beta * c, into memory that `out` has; then `work` on each region. */
void multiply_matrices(const array& left, const array& b, const array* c, float alpha, float beta,
                       array& out, const RegionWork* work = nullptr) {
  if (out.size() == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(out.dtype()));
  array a = with_plain_rows(left, b);
  Gemm g;
  g.dtype = out.dtype();
  g.n = out.shape(-1);
  g.k = a.shape(-1);
  g.a = operand(a, true);
  g.b = operand(b, false);
  g.out = out.data<char>();
  g.alpha = alpha;
  g.beta = beta;
  g.work = work;
  std::optional<Strides> c_strides;
  if (c) {
    c_strides = broadcast_strides(*c, out.shape());
    g.c = c->data<char>();
    g.c_col_stride = c_strides->back();
  }
  ProductBatch batch(a, b, out, c_strides);
  while (batch.fold_into_rows(/*any_stride=*/true)) {
  }
  g.m = batch.rows;
  g.a.width_stride = batch.a_row;
  g.out_row_stride = batch.out_row;
  g.c_row_stride = batch.c_row;
  gemm(g, batch.axes);
}

void eval_matmul(Matmul&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  multiply_matrices(inputs[0], inputs[1], nullptr, 1.0f, 1.0f, outputs[0]);
}

void eval_addmm(AddMM& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& c = inputs[2];
  if (!c.flags().row_contiguous || !write_over(c, outputs[0])) {
    outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  }
  multiply_matrices(inputs[0], inputs[1], &c, primitive.alpha(), primitive.beta(), outputs[0]);
}

const Register<Matmul> matmul(eval_matmul);
const Register<AddMM> addmm(eval_addmm);

}  // namespace

bool is_product(const Primitive& primitive) {
  return typeid(primitive) == typeid(Matmul) || typeid(primitive) == typeid(AddMM);
}

void run_product(const Primitive& product, const Program& program, const std::vector<array>& inputs,
                 array& out) {
  bool adds = typeid(product) == typeid(AddMM);
  auto first = inputs.begin() + (adds ? 3 : 2);
  std::vector<array> others(first, inputs.end());
  Epilogue epilogue(program, others, inputs[0].dtype(), out);
  if (adds) {
    const auto& addmm = static_cast<const AddMM&>(product);
    multiply_matrices(inputs[0], inputs[1], &inputs[2], addmm.alpha(), addmm.beta(),
                      epilogue.result(), &epilogue);
  } else {
    multiply_matrices(inputs[0], inputs[1], nullptr, 1, 1, epilogue.result(), &epilogue);
  }
}

}  // namespace mlx::core::cpu
