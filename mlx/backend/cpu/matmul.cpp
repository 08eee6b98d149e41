// Matrix products on the CPU: from shapes and strides to one call of the gemm engine.
#include "mlx/backend/cpu/matmul.h"

#include "mlx/primitives/matmul.h"

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/epilogue.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

/** Broadcast strides of an operand over the batch axes of a product. */
Strides batch_strides(const array& in, const Shape& batch) {
  Strides strides(batch.size(), 0);
  int missing = static_cast<int>(batch.size()) - (static_cast<int>(in.ndim()) - 2);
  for (int i = missing; i < static_cast<int>(batch.size()); i++) {
    strides[i] = in.shape()[i - missing] == 1 ? 0 : in.strides()[i - missing];
  }
  return strides;
}

GemmOperand operand(const array& in, bool left) {
  int64_t row = in.strides(-2), col = in.strides(-1);
  return {in.data<char>(), left ? row : col, left ? col : row, nullptr};
}

/** Takes the innermost batch axis into the rows of A where all strides go on. */
bool fold_batch_into_rows(Gemm& g, const BatchAxis& axis) {
  bool one_row = g.m == 1;
  if (axis.b != 0) {
    return false;
  }
  if (one_row) {
    g.a.width_stride = axis.a;
    g.out_row_stride = axis.out;
    g.c_row_stride = axis.c;
  } else if (axis.a != g.m * g.a.width_stride || axis.out != g.m * g.out_row_stride ||
             (g.c && axis.c != g.m * g.c_row_stride)) {
    return false;
  }
  g.m *= axis.size;
  return true;
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
  array a = with_plain_rows(left, b);
  Gemm g;
  g.dtype = out.dtype();
  g.m = out.shape(-2);
  g.n = out.shape(-1);
  g.k = a.shape(-1);
  g.a = operand(a, true);
  g.b = operand(b, false);
  g.out = out.data<char>();
  g.out_row_stride = g.n;
  g.alpha = alpha;
  g.beta = beta;
  g.work = work;
  Shape batch(out.shape().begin(), out.shape().end() - 2);
  std::vector<Strides> strides = {batch_strides(a, batch), batch_strides(b, batch),
                                  batch_strides(out, batch), Strides(batch.size(), 0)};
  if (c) {
    Strides c_strides = broadcast_strides(*c, out.shape());
    g.c = c->data<char>();
    g.c_row_stride = c_strides[out.ndim() - 2];
    g.c_col_stride = c_strides[out.ndim() - 1];
    strides[3] = Strides(c_strides.begin(), c_strides.end() - 2);
  }
  CollapsedLayout layout = collapse_dims(batch, std::move(strides));
  std::vector<BatchAxis> axes;
  for (size_t i = 0; i < layout.shape.size(); i++) {
    axes.push_back({layout.shape[i], layout.strides[0][i], layout.strides[1][i],
                    layout.strides[2][i], layout.strides[3][i]});
  }
  while (!axes.empty() && fold_batch_into_rows(g, axes.back())) {
    axes.pop_back();
  }
  gemm(g, axes);
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
