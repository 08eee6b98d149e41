// Softmax and its derivative on the GPU.
#include "mlx/backend/cuda/softmax.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/softmax_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/softmax.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = row_threads;
constexpr int64_t long_row = 1024;

struct Extents {
  int64_t outer, length, inner;
};

KernelCall call_of(std::string function) {
  return {"softmax_rows.h", "SoftmaxRows", std::move(function), threads};
}

void start(const KernelCall& call, unsigned blocks, Extents extents, const array& in,
           const array* direction, array& out, const Stream& s) {
  kernels::SoftmaxRows rows{};
  rows.outer = extents.outer;
  rows.length = extents.length;
  rows.inner = extents.inner;
  rows.in = input_address(in, s);
  rows.out = output_address(out);
  rows.direction = direction ? input_address(*direction, s) : nullptr;
  launch(kernel_of(call, s), blocks, threads, s, rows);
}

void eval_softmax(Softmax& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  array in = contiguous_for(inputs[0], out, s);
  if (out.size() == 0) {
    return;
  }
  int64_t outer = 1, length = 1, inner = 1;
  for (int i = 0; i < static_cast<int>(in.ndim()); i++) {
    (i < primitive.first() ? outer : i <= primitive.last() ? length : inner) *= in.shape(i);
  }
  Extents extents{outer, length, inner};
  if (inner > 1) {
    start(column_softmax_call(in.dtype()), blocks_for(outer * inner, threads), extents, in, nullptr,
          out, s);
    return;
  }
  RowVariant variant = row_variant(in.dtype(), length, {input_address(in, s), output_address(out)});
  KernelCall call = variant.packs > 0 ? held_softmax_call(in.dtype(), variant)
                                      : row_softmax_call(in.dtype(), variant.lanes);
  start(call, blocks_for(outer, threads / variant.lanes), extents, in, nullptr, out, s);
}

void eval_jacobian(SoftmaxJacobian& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  array y = contiguous(inputs[0], s), direction = contiguous(inputs[1], s);
  int64_t length = 1;
  for (int i = 1; i <= primitive.count(); i++) {
    length *= out.shape(-i);
  }
  int64_t outer = static_cast<int64_t>(out.size()) / length;
  int lanes = length > long_row ? threads : 32;
  start(softmax_jacobian_call(out.dtype(), lanes), blocks_for(outer, threads / lanes),
        {outer, length, 1}, y, &direction, out, s);
}

const Register<Softmax> softmax(eval_softmax);
const Register<SoftmaxJacobian> softmax_jacobian(eval_jacobian);

}  // namespace

KernelCall held_softmax_call(Dtype dtype, RowVariant variant) {
  return call_of(std::string("softmax_held_rows<") + type_name(dtype) + ", " + to_string(variant) +
                 ">");
}

KernelCall row_softmax_call(Dtype dtype, int lanes) {
  return call_of(std::string("softmax_rows<") + type_name(dtype) + ", " + std::to_string(lanes) +
                 ">");
}

KernelCall softmax_jacobian_call(Dtype dtype, int lanes) {
  return call_of(std::string("softmax_jacobian<") + type_name(dtype) + ", " +
                 std::to_string(lanes) + ">");
}

KernelCall column_softmax_call(Dtype dtype) {
  return call_of(std::string("softmax_columns<") + type_name(dtype) + ">");
}

}  // namespace mlx::core::cuda
