// Matrix products on the GPU: from shapes and strides to batched products.
#include "mlx/backend/cuda/matmul.h"

#include <span>
#include <typeinfo>

#include "mlx/backend/common/product_batch.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/matmul_plan.h"
#include "mlx/backend/cuda/measured.h"
#include "mlx/backend/cuda/program.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/vector_product.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core::cuda {

namespace {

/** Whether the last two axes have neighbours along one of them and whole rows along the other. */
bool is_matrix(const array& a) {
  int64_t row = a.strides(-2), column = a.strides(-1);
  return (column == 1 && row >= a.shape(-1)) || (row == 1 && column >= a.shape(-2));
}

array as_matrix(const array& a, const Stream& s) { return is_matrix(a) ? a : contiguous(a, s); }

MatrixOperand operand(const array& a, const Stream& s) {
  bool transposed = a.strides(-1) != 1 || a.strides(-2) < a.shape(-1);
  return {input_address(a, s), transposed, transposed ? a.strides(-1) : a.strides(-2), 0,
          is_at_hand(a)};
}

const void* moved(const void* data, int64_t elements, Dtype dtype) {
  return static_cast<const char*>(data) + elements * static_cast<int64_t>(dtype.size());
}

/** Runs `p` for every position of the batch axes; the last one goes in one call. Returns as
 *  run_product. */
bool run_batch(Product p, const array& a, const array& b, const array& out, const Stream& s) {
  ProductBatch batch(a, b, out);
  if (!p.a.transposed) batch.fold_into_rows(/*any_stride=*/false);
  p.m = batch.rows;
  if (!batch.axes.empty()) {
    auto last = batch.axes.back();
    batch.axes.pop_back();
    p.batch = last.size;
    p.a.batch_stride = last.a;
    p.b.batch_stride = last.b;
    p.out_batch_stride = last.out;
  }
  bool finished = true;
  for (int64_t i = 0; i < batch.count(); i++) {
    BatchPlace place = batch.at(i);
    Product one = p;
    one.a.data = moved(p.a.data, place.a, p.dtype);
    one.b.data = moved(p.b.data, place.b, p.dtype);
    one.out = const_cast<void*>(moved(p.out, place.out, p.dtype));
    finished &= run_product(one, s);
  }
  return finished;
}

/** The operand, copied if its batch axes do not walk as one: a copy takes less time than a call for
 *  each matrix. A broadcast operand stays as it is. */
array with_plain_batch(const array& a, const array& out, const Stream& s) {
  size_t axes = out.ndim() - 2;
  if (axes <= 1) {
    return a;
  }
  Shape batch(out.shape().begin(), out.shape().end() - 2);
  Strides strides = batch_strides(a, a.strides(), axes);
  for (size_t i = 0; i < axes; i++) {
    if (strides[i] == 0 && batch[i] > 1) {
      return a;
    }
  }
  return collapse_dims(batch, {strides}).shape.size() > 1 ? contiguous(a, s) : a;
}

/** What is added to a product and done to its results. */
struct Ending {
  float alpha = 1.0f, beta = 0.0f;
  const void* bias = nullptr;
  bool rectified = false;
  bool bias_settled = true;
};

/** Without its batch. */
Product product_of(const array& a, const array& b, const Ending& ending, array& out,
                   const Stream& s) {
  Product p{out.dtype(),
            out.shape(-2),
            out.shape(-1),
            a.shape(-1),
            1,
            operand(a, s),
            operand(b, s),
            ending.alpha,
            ending.beta,
            ending.bias,
            output_address(out),
            0,
            ending.rectified};
  p.bias_settled = ending.bias_settled;
  return p;
}

bool multiply(const array& a_in, const array& b_in, const Ending& ending, array& out,
              const Stream& s) {
  array a = with_plain_batch(as_matrix(a_in, s), out, s);
  array b = with_plain_batch(as_matrix(b_in, s), out, s);
  return run_batch(product_of(a, b, ending, out, s), a, b, out, s);
}

/** Evaluates, with results below zero made zero if asked for; false if that is still to be done. */
bool run_matmul(std::span<const array> inputs, array& out, bool rectified, const Stream& s) {
  allocate_output(out, s);
  if (out.size() == 0) {
    return true;
  }
  if (inputs[0].shape(-1) == 0) {
    clear(output_address(out), out.nbytes(), s);
    return true;
  }
  return multiply(inputs[0], inputs[1], {1.0f, 0.0f, nullptr, rectified}, out, s);
}

/** out = c, broadcast to its shape, times `factor` if that is not 1. */
void place(const array& c, float factor, array& out, const Stream& s) {
  Program program;
  program.inputs = {c.dtype()};
  program.outputs = {0};
  std::vector<array> inputs = {c}, outputs = {out};
  if (factor != 1.0f) {
    program.inputs.push_back(c.dtype());
    inputs.push_back(array(factor, c.dtype()));
    program.outputs = {program.add(ElementwiseOp::Multiply, 0, 1)};
  }
  run_program(program, inputs, outputs, s);
}

/** Whether what is added is one row of floats for all rows. */
bool adds_row(const AddMM& primitive, const array& c, const array& out) {
  Strides c_strides = broadcast_strides(c, out.shape());
  bool is_row = primitive.beta() == 1.0f && c_strides[out.ndim() - 1] == 1 &&
                issubdtype(out.dtype(), floating) && out.dtype() != float64;
  for (size_t i = 0; i + 1 < out.ndim(); i++) {
    is_row = is_row && (c_strides[i] == 0 || out.shape()[i] == 1);
  }
  return is_row;
}

/** As run_matmul. */
bool run_addmm(const AddMM& primitive, std::span<const array> inputs, array& out, bool rectified,
               const Stream& s) {
  const array& c = inputs[2];
  auto [alpha, beta] = primitive.fields();
  if (inputs[0].shape(-1) == 0 || out.size() == 0) {
    place(c, beta, out, s);
    return !rectified;
  }
  if (adds_row(primitive, c, out)) {
    allocate_output(out, s);
    Ending ending{alpha, 0.0f, input_address(c, s), rectified, is_at_hand(c)};
    return multiply(inputs[0], inputs[1], ending, out, s);
  }
  if (!c.flags().row_contiguous || !write_over(c, out, s)) {
    place(c.flags().row_contiguous ? c : contiguous(c, s), 1.0f, out, s);
  }
  return multiply(inputs[0], inputs[1], {alpha, beta, nullptr, rectified}, out, s);
}

/** Whether the product has few rows and its operands are matrices where they lie. */
bool few_rows_in_place(const JoinedPart& part) {
  const array &a = part.inputs[0], &b = part.inputs[1], &out = part.outputs[0];
  auto* addmm = dynamic_cast<AddMM*>(&part.primitive);
  bool plain = !addmm || adds_row(*addmm, part.inputs[2], out);
  return plain && out.size() > 0 && a.shape(-1) > 0 && b.ndim() == 2 && is_matrix(a) &&
         b.strides(-2) == 1 && is_matrix(b) && a.flags().row_contiguous &&
         static_cast<int64_t>(out.size()) <= most_vector_rows * int64_t{out.shape(-1)};
}

/** The product of a part of which that is true. */
Product product_of_part(const JoinedPart& part, const Stream& s) {
  Ending ending;
  array& out = part.outputs[0];
  if (auto* addmm = dynamic_cast<AddMM*>(&part.primitive)) {
    ending.alpha = addmm->alpha();
    ending.bias = input_address(part.inputs[2], s);
    ending.bias_settled = is_at_hand(part.inputs[2]);
  }
  Product p = product_of(part.inputs[0], part.inputs[1], ending, out, s);
  p.m = static_cast<int64_t>(out.size()) / p.n;
  p.a = {p.a.data, false, p.k, 0};
  return p;
}

/** Which operand of a product, a matrix where it lies, is the matrix whose columns `reduction` adds
 *  up. */
Summed summed_operand(const JoinedPart& product, const JoinedPart& reduction, const Stream& s) {
  const array &a = product.inputs[0], &b = product.inputs[1], &whole = reduction.inputs[0];
  auto& reduce = static_cast<const Reduce&>(reduction.primitive);
  int rows_axes = static_cast<int>(whole.ndim()) - 1;
  bool adds_rows = reduce.op() == ReduceOp::Sum && whole.size() > 0 &&
                   reduce.axes().size() == static_cast<size_t>(rows_axes) &&
                   (rows_axes == 0 || reduce.axes().back() < rows_axes);
  if (!adds_rows || rows_axes == 0 || !whole.flags().row_contiguous || a.ndim() != 2 ||
      b.ndim() != 2) {
    return Summed::none;
  }
  int64_t columns = whole.shape(-1), rows = static_cast<int64_t>(whole.size()) / columns;
  auto is_whole = [&](const array& x, int row_axis) {
    return x.shape(row_axis) == rows && x.shape(1 - row_axis) == columns &&
           x.strides(row_axis) == columns && x.strides(1 - row_axis) == 1 &&
           input_address(x, s) == input_address(whole, s);
  };
  return is_whole(b, 0) ? Summed::b : is_whole(a, 1) ? Summed::a : Summed::none;
}

/** Runs the part with arrays of the shapes of its results. */
void run_alone(const JoinedPart& part, std::vector<array> outputs) {
  part.primitive.eval_gpu({part.inputs.begin(), part.inputs.end()}, outputs);
}

/** A product that makes the sums as well, with memory for both. */
Product summing_product(const JoinedPart& product, const JoinedPart& reduction, Summed summed,
                        const Stream& s) {
  array &out = product.outputs[0], &sums = reduction.outputs[0];
  allocate_output(out, s);
  allocate_output(sums, s);
  Product p = product_of(product.inputs[0], product.inputs[1], {}, out, s);
  p.summed = summed;
  p.sums = output_address(sums);
  return p;
}

/** Runs a product and a reduction of one of its operands together, if that can be done and is
 *  faster; else returns false. */
bool run_summing_product(const std::vector<JoinedPart>& parts, const Stream& s) {
  Summed summed = summed_operand(parts[0], parts[1], s);
  if (summed == Summed::none || parts[0].outputs[0].size() == 0) {
    return false;
  }
  Product p = summing_product(parts[0], parts[1], summed, s);
  if (!is_complete(p, s)) {
    return false;
  }
  static auto* choice = new MeasuredChoice("sums with a product");
  auto apart = [&] {
    for (auto& part : parts) {
      const array& out = part.outputs[0];
      run_alone(part, {array(out.shape(), out.dtype(), nullptr, {})});
    }
  };
  bool faster = choice->is_faster(
      {static_cast<int64_t>(p.dtype.val()), p.m, p.n, p.k, static_cast<int64_t>(summed),
       library_version()},
      s, [&] { run_product(p, s); }, apart);
  return faster && run_product(p, s);
}

void eval_matmul(Matmul& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  run_matmul(inputs, outputs[0], false, primitive.stream());
}

void eval_addmm(AddMM& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  run_addmm(primitive, inputs, outputs[0], false, primitive.stream());
}

const Register<Matmul> matmul(eval_matmul);
const Register<AddMM> addmm(eval_addmm);

}  // namespace

bool rectifies_product(const Primitive& root, const Program& program,
                       const std::vector<bool>& zeros) {
  bool is_product = typeid(root) == typeid(Matmul) || typeid(root) == typeid(AddMM);
  if (!is_product || program.code.size() != 1 || program.outputs.size() != 1 ||
      program.code[0].op != ElementwiseOp::Maximum || !zeros.back()) {
    return false;
  }
  Dtype dtype = program.code[0].type;
  return dtype == float32 || dtype == float16 || dtype == bfloat16;
}

bool sums_with_product(const Primitive& product, const Primitive& reduction, Dtype type) {
  return typeid(product) == typeid(Matmul) && typeid(reduction) == typeid(Reduce) &&
         (type == float16 || type == bfloat16);
}

void run_joined_products(const std::vector<JoinedPart>& parts, const Stream& s) {
  if (typeid(parts[1].primitive) == typeid(Reduce)) {
    if (run_summing_product(parts, s)) return;
    run_apart(parts, [](const JoinedPart& part) {
      run_alone(part, {part.outputs.begin(), part.outputs.end()});
    });
    return;
  }
  std::vector<Product> products;
  products.reserve(parts.size());
  for (auto& part : parts) {
    if (!few_rows_in_place(part)) break;
    allocate_output(part.outputs[0], s);
    products.push_back(product_of_part(part, s));
  }
  if (products.size() == parts.size() && run_vector_products(products, s)) {
    return;
  }
  run_apart(parts, [&](const JoinedPart& part) {
    auto* addmm = dynamic_cast<AddMM*>(&part.primitive);
    array& out = part.outputs[0];
    if (addmm) {
      run_addmm(*addmm, part.inputs, out, false, s);
    } else {
      run_matmul(part.inputs, out, false, s);
    }
  });
}

void run_rectified_product(Fused& step, const std::vector<array>& inputs,
                           std::vector<array>& outputs) {
  array product(outputs[0].shape(), outputs[0].dtype(), nullptr, {});
  const Stream& s = step.stream();
  auto* addmm = dynamic_cast<AddMM*>(&step.root());
  bool finished =
      addmm ? run_addmm(*addmm, inputs, product, true, s) : run_matmul(inputs, product, true, s);
  if (finished) {
    outputs[0].copy_shared_buffer(product);
  } else {
    run_program(step.recipe().epilogue, {std::move(product), inputs.back()}, outputs, s);
  }
}

}  // namespace mlx::core::cuda
