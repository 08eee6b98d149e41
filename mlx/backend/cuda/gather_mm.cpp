// Products whose operands are picked by index or cut along the depth, on the GPU.
#include "mlx/primitives/gather_mm.h"

#include "mlx/backend/common/layout.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/product.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"

namespace mlx::core::cuda {

namespace {

/** The array itself if its matrices lie by rows or columns at one distance, else a copy. */
array as_batch(const array& a, const Stream& s) {
  Shape batch(a.shape().begin(), a.shape().end() - 2);
  Strides strides(a.strides().begin(), a.strides().end() - 2);
  bool plain = a.strides(-1) == 1 || a.strides(-2) == 1;
  return plain && collapse_dims(batch, {strides}).shape.size() == 1 ? a : contiguous(a, s);
}

MatrixOperand operand_of(const array& a, const Stream& s) {
  Shape batch(a.shape().begin(), a.shape().end() - 2);
  Strides strides(a.strides().begin(), a.strides().end() - 2);
  bool transposed = a.strides(-1) != 1;
  return {input_address(a, s), transposed, a.strides(transposed ? -1 : -2),
          collapse_dims(batch, {strides}).strides[0][0]};
}

int64_t matrices_of(const array& a) {
  return static_cast<int64_t>(num_elements(Shape(a.shape().begin(), a.shape().end() - 2)));
}

/** So many products of the batches `a` and `b`, one after the other in `out`. */
Product product_of(const array& a, const array& b, array& out, int64_t count, const Stream& s) {
  int64_t m = out.shape(-2), n = out.shape(-1);
  return {
      out.dtype(), m,    n,       a.shape(-1),         count, operand_of(a, s), operand_of(b, s),
      1.0f,        0.0f, nullptr, output_address(out), m * n};
}

void eval_gather_mm(GatherMM& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  array a = as_batch(inputs[0], s), b = as_batch(inputs[1], s);
  array a_numbers = contiguous(inputs[2], s), b_numbers = contiguous(inputs[3], s);
  FaultReport report = open_report(s);
  out.add_doubts({report.doubt});
  Selection selection{{input_address(a_numbers, s), matrices_of(a)},
                      {input_address(b_numbers, s), matrices_of(b)},
                      nullptr,
                      report.slot};
  auto count = static_cast<int64_t>(a_numbers.size());
  multiply_in_tiles(product_of(a, b, out, count, s), selection, s);
}

void eval_segmented_mm(SegmentedMM& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  array a = as_batch(inputs[0], s), b = as_batch(inputs[1], s);
  array segments = contiguous(inputs[2], s);
  FaultReport report = open_report(s);
  out.add_doubts({report.doubt});
  Selection selection{{}, {}, input_address(segments, s), report.slot};
  Product product = product_of(a, b, out, static_cast<int64_t>(segments.size() / 2), s);
  product.a.batch_stride = product.b.batch_stride = 0;
  multiply_in_tiles(product, selection, s);
}

const Register<GatherMM> gather_mm(eval_gather_mm);
const Register<SegmentedMM> segmented_mm(eval_segmented_mm);

}  // namespace

}  // namespace mlx::core::cuda
