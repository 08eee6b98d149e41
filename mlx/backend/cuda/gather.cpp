// Gather on the GPU.
#include "mlx/primitives/gather.h"

#include "mlx/backend/cuda/index.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

/** Counts a dense slice in words of up to 16 bytes where everything is aligned to them. */
size_t widen(IndexWork& work, const array& a) {
  size_t itemsize = a.itemsize();
  auto slice = collapse_dims(work.slice_shape, {work.array_slice_strides});
  if (slice.shape.size() != 1 || slice.strides[0][0] != 1) {
    return itemsize;
  }
  for (size_t word = 16; word > itemsize; word /= 2) {
    auto each = static_cast<int64_t>(word / itemsize);
    bool fits = slice.shape[0] % each == 0 && reinterpret_cast<uint64_t>(work.in) % word == 0 &&
                slice.shape[0] / each < (int64_t{1} << 31);
    for (auto& source : work.sources) {
      fits = fits && source.stride % each == 0;
    }
    if (fits) {
      work.slice_shape = {static_cast<ShapeElem>(slice.shape[0] / each)};
      work.array_slice_strides = {1};
      work.update_slice_strides = {0};
      for (auto& source : work.sources) {
        source.stride /= each;
      }
      return word;
    }
  }
  return itemsize;
}

void start_gather(IndexWork& work, size_t word, const Stream& s) {
  start_indexed(work, s, [&](const IndexVariant& variant) { return gather_call(variant, word); });
}

void eval_gather(Gather& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& a = inputs[0];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  auto slice_begin = out.shape().end() - a.ndim();
  IndexWork work =
      slice_work(kernels::FaultOp::gather, a, inputs.data() + 1, primitive.axes(),
                 Shape(out.shape().begin(), slice_begin), Shape(slice_begin, out.shape().end()));
  work.in = input_address(a, s);
  work.out = output_address(out);
  work.result = &out;
  size_t word = widen(work, a);
  start_gather(work, word, s);
}

void eval_gather_axis(GatherAxis& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  IndexWork work = axis_work(kernels::FaultOp::take_along_axis, inputs[0], inputs[1], out.shape(),
                             primitive.axis());
  work.in = input_address(inputs[0], s);
  work.out = output_address(out);
  work.result = &out;
  start_gather(work, out.itemsize(), s);
}

const Register<Gather> gather(eval_gather);
const Register<GatherAxis> gather_axis(eval_gather_axis);

}  // namespace

KernelCall gather_call(const IndexVariant& variant, size_t word) {
  return indexed_call("gather.h", "gather", variant, word_name(word));
}

}  // namespace mlx::core::cuda
