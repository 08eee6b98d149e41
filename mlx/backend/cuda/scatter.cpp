// Scatter on the GPU. Replacing and operations whose order does not matter take the updates as they
// come; the others sort them (scatter_in_order).
#include "mlx/backend/cuda/scatter.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/errors.h"
#include "mlx/primitives/scatter.h"

namespace mlx::core::cuda {

namespace {

/** Prepares `out` as the row-contiguous target of updates. */
void make_target(const array& source, array& out, const Stream& s) {
  if (source.flags().row_contiguous) {
    take_over(source, out, s);
  } else {
    copy(source, out, s);
  }
}

void replace(IndexWork& work, const array& out, const Stream& s) {
  size_t bytes = out.size() * sizeof(uint32_t);
  Scratch winners(bytes, s);
  clear(winners.get(), bytes, s);
  work.marks = winners.get();
  for (bool claim : {true, false}) {
    start_indexed(work, s, [&](const IndexVariant& variant) {
      return scatter_replace_call(variant, out.itemsize(), claim);
    });
  }
}

void run_updates(IndexWork& work, UpdateMode mode, array& out, const array& updates,
                 const Stream& s) {
  work.in = input_address(updates, s);
  work.out = out.size() ? output_address(out) : nullptr;  // empty: every index is outside
  work.result = &out;
  bool ordered = needs_order(mode, out.dtype());
  check(!(ordered || mode == UpdateMode::Replace) || updates.size() < (size_t{1} << 32), "scatter",
        "2^32 updates or more are not available ",
        "on the GPU in this version; run it with stream=mx.cpu.");
  if (mode == UpdateMode::Replace) {
    replace(work, out, s);
  } else if (ordered) {
    scatter_in_order(work, mode, out, s);
  } else {
    start_indexed(work, s, [&](const IndexVariant& variant) {
      return scatter_combine_call(variant, mode, out.dtype());
    });
  }
}

void eval_scatter(Scatter& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const array& updates = inputs.back();
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  make_target(inputs[0], out, s);
  if (updates.size() == 0) {
    return;
  }
  size_t index_ndim = updates.ndim() - out.ndim();
  auto slice_begin = updates.shape().begin() + index_ndim;
  auto stride_begin = updates.strides().begin() + index_ndim;
  IndexWork work = slice_work(kernels::FaultOp::scatter, out, inputs.data() + 1, primitive.axes(),
                              Shape(updates.shape().begin(), slice_begin),
                              Shape(slice_begin, updates.shape().end()));
  work.update_index_strides = Strides(updates.strides().begin(), stride_begin);
  work.update_slice_strides = Strides(stride_begin, updates.strides().end());
  run_updates(work, primitive.mode(), out, updates, s);
}

void eval_scatter_axis(ScatterAxis& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  make_target(inputs[0], out, s);
  if (inputs[1].size() == 0) {
    return;
  }
  IndexWork work = axis_work(kernels::FaultOp::scatter_axis, out, inputs[1], inputs[2].shape(),
                             primitive.axis());
  work.update_index_strides = inputs[2].strides();
  run_updates(work, primitive.mode(), out, inputs[2], s);
}

const Register<Scatter> scatter(eval_scatter);
const Register<ScatterAxis> scatter_axis(eval_scatter_axis);

}  // namespace

std::string update_types(UpdateMode mode, Dtype dtype) {
  return std::string("op::") + update_op_name(mode) + ", " + type_name(dtype);
}

KernelCall scatter_replace_call(const IndexVariant& variant, size_t word, bool claim) {
  return indexed_call("scatter.h", "scatter_replace", variant,
                      std::string(word_name(word)) + (claim ? ", true" : ", false"));
}

KernelCall scatter_combine_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype) {
  return indexed_call("scatter.h", "scatter_combine", variant, update_types(mode, dtype));
}

}  // namespace mlx::core::cuda
