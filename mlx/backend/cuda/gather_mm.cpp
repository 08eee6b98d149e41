// Products whose operands are picked by index or cut along the depth, on the GPU.
#include "mlx/primitives/gather_mm.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/product.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

/** The axes in front of the matrices, merged as far as strides allow. */
CollapsedLayout batch_of(const array& a) {
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  return collapse_dims(shape, {Strides(a.strides().begin(), a.strides().end() - 2)});
}

/** The array itself if its matrices lie by rows or columns at one distance, else a copy. */
array as_batch(const array& a, const Stream& s) {
  bool plain = a.strides(-1) == 1 || a.strides(-2) == 1;
  return plain && batch_of(a).shape.size() == 1 ? a : contiguous(a, s);
}

MatrixOperand operand_of(const array& a, const Stream& s) {
  bool transposed = a.strides(-1) != 1;
  auto batch = batch_of(a);
  return {input_address(a, s), transposed, a.strides(transposed ? -1 : -2),
          batch.shape[0] > 1 ? batch.strides[0][0] : 0};
}

/** Queues `count` products of the batches, one after the other in `out`. */
void multiply(const array& a, const array& b, array& out, int64_t count, Selection selection,
              const Stream& s) {
  selection.fault = open_report(out, s);
  int64_t m = out.shape(-2), n = out.shape(-1);
  Product product{
      out.dtype(), m,    n,       a.shape(-1),         count, operand_of(a, s), operand_of(b, s),
      1.0f,        0.0f, nullptr, output_address(out), m * n};
  multiply_in_tiles(product, selection, s);
}

void eval_gather_mm(GatherMM& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  allocate_output(outputs[0], s);
  if (outputs[0].size() == 0) {
    return;
  }
  array a = as_batch(inputs[0], s), b = as_batch(inputs[1], s);
  array a_numbers = contiguous(inputs[2], s), b_numbers = contiguous(inputs[3], s);
  Selection picks{{input_address(a_numbers, s), batch_of(a).shape[0]},
                  {input_address(b_numbers, s), batch_of(b).shape[0]}};
  multiply(a, b, outputs[0], static_cast<int64_t>(a_numbers.size()), picks, s);
}

/** Each product takes the two matrices, which are batches of one. */
void eval_segmented_mm(SegmentedMM& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  allocate_output(outputs[0], s);
  if (outputs[0].size() == 0) {
    return;
  }
  array a = as_batch(inputs[0], s), b = as_batch(inputs[1], s);
  array segments = contiguous(inputs[2], s);
  Selection parts{{}, {}, input_address(segments, s)};
  multiply(a, b, outputs[0], static_cast<int64_t>(segments.size() / 2), parts, s);
}

const Register<GatherMM> gather_mm(eval_gather_mm);
const Register<SegmentedMM> segmented_mm(eval_segmented_mm);

}  // namespace

}  // namespace mlx::core::cuda
