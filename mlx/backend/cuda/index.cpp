// Gather and scatter on the GPU. The forms along an axis are the same kernels: every element is a
// slice of its own, and the position also walks the array's other axes.
#include "mlx/backend/cuda/index.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/common/layout.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/faults.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/errors.h"
#include "mlx/primitives/gather.h"
#include "mlx/primitives/scatter.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

struct Source {
  const array* indices;
  int axis;
  int64_t extent, slice, stride;
};

struct Work {
  kernels::FaultOp fault_op;
  Shape index_shape, slice_shape;
  std::vector<Source> sources;
  // How positions and slices walk the array and the updates (0 for a gather).
  Strides array_index_strides, array_slice_strides;
  Strides update_index_strides, update_slice_strides;
  const void* in = nullptr;
  void* out = nullptr;
  void* winners = nullptr;
  const array* result = nullptr;  // carries what the kernel may report
};

int64_t kind_of(Dtype dtype) {
  auto size = static_cast<int64_t>(dtype.size());
  return issubdtype(dtype, signedinteger) ? -size : size;
}

KernelCall call_of(const char* name, const IndexVariant& variant, const std::string& types) {
  std::string numbers = std::to_string(variant.sources) + ", " +
                        std::to_string(variant.index_rank) + ", " +
                        std::to_string(variant.slice_rank) + ">";
  return {"index.h", "Indexed<" + numbers,
          std::string(name) + "<FaultOp::" + kernels::fault_op_name(variant.op) + ", " + types +
              ", " + numbers,
          threads};
}

/** Starts the kernel that call_for(variant) is over all elements. */
template <typename F>
void start(const Work& work, const Stream& s, F&& call_for) {
  auto count =
      static_cast<int64_t>(num_elements(work.index_shape) * num_elements(work.slice_shape));
  if (count == 0) {
    return;
  }
  std::vector<Strides> index_strides;
  for (auto& source : work.sources) {
    index_strides.push_back(broadcast_strides(*source.indices, work.index_shape));
  }
  index_strides.push_back(work.array_index_strides);
  index_strides.push_back(work.update_index_strides);
  auto index = collapse_dims(work.index_shape, index_strides);
  auto slice =
      collapse_dims(work.slice_shape, {work.array_slice_strides, work.update_slice_strides});
  int index_rank = rank_class(index.shape.size()), slice_rank = rank_class(slice.shape.size());
  size_t sources = std::max<size_t>(work.sources.size(), 1);
  KernelCall call = call_for(IndexVariant{work.fault_op, sources, index_rank, slice_rank});
  Parameters parameters;
  parameters.add(static_cast<int64_t>(num_elements(work.index_shape)));
  parameters.add(static_cast<int64_t>(num_elements(work.slice_shape)));
  parameters.add(work.in);
  parameters.add(static_cast<const void*>(work.out));
  parameters.add(static_cast<const void*>(work.winners));
  FaultReport report = open_report(s);
  work.result->add_doubts({report.doubt});
  parameters.add(static_cast<const void*>(report.slot));
  parameters.add_padded(index.shape, index_rank, 1);
  for (size_t k = 0; k < sources; k++) {
    parameters.add_padded(work.sources.empty() ? Strides(1, 0) : index.strides[k], index_rank, 0);
  }
  parameters.add_padded(index.strides[work.sources.size()], index_rank, 0);
  parameters.add_padded(index.strides.back(), index_rank, 0);
  parameters.add_padded(slice.shape, slice_rank, 1);
  parameters.add_padded(slice.strides[0], slice_rank, 0);
  parameters.add_padded(slice.strides[1], slice_rank, 0);
  for (auto& source : work.sources) {
    parameters.add(input_address(*source.indices, s));
    for (int64_t x : {kind_of(source.indices->dtype()), int64_t{source.axis}, source.extent,
                      source.slice, source.stride}) {
      parameters.add(x);
    }
  }
  parameters.launch(kernel_of(call, s), blocks_for(count, threads), threads, s);
}

/** Counts a dense slice in words of up to 16 bytes where everything is aligned to them. */
size_t widen(Work& work, const array& a) {
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

void eval_gather(Gather& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& a = inputs[0];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  Work work;
  work.fault_op = kernels::FaultOp::gather;
  work.index_shape = Shape(out.shape().begin(), out.shape().end() - a.ndim());
  work.slice_shape = Shape(out.shape().end() - a.ndim(), out.shape().end());
  work.array_index_strides = work.update_index_strides = Strides(work.index_shape.size(), 0);
  work.array_slice_strides = a.strides();
  work.update_slice_strides = Strides(a.ndim(), 0);
  work.in = input_address(a, s);
  work.out = output_address(out);
  work.result = &out;
  for (size_t k = 0; k < primitive.axes().size(); k++) {
    int axis = primitive.axes()[k];
    work.sources.push_back(
        {&inputs[k + 1], axis, a.shape(axis), work.slice_shape[axis], a.strides(axis)});
  }
  size_t word = widen(work, a);
  start(work, s, [&](const IndexVariant& variant) { return gather_call(variant, word); });
}

/** Positions that are elements: `indices`, which broadcast to them, along one axis of `a`, and
 * places along the others. */
Work axis_work(kernels::FaultOp op, const array& a, const array& indices, const Shape& positions,
               int axis) {
  Work work;
  work.fault_op = op;
  work.index_shape = positions;
  work.array_index_strides = a.strides();
  work.array_index_strides[axis] = 0;
  work.update_index_strides = Strides(a.ndim(), 0);
  work.sources.push_back({&indices, axis, a.shape(axis), 1, a.strides(axis)});
  return work;
}

void eval_gather_axis(GatherAxis& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  Work work = axis_work(kernels::FaultOp::take_along_axis, inputs[0], inputs[1], out.shape(),
                        primitive.axis());
  work.in = input_address(inputs[0], s);
  work.out = output_address(out);
  work.result = &out;
  start(work, s, [&](const IndexVariant& variant) { return gather_call(variant, out.itemsize()); });
}

/** Prepares `out` as the row-contiguous target of updates. */
void make_target(const array& source, array& out, const Stream& s) {
  if (source.flags().row_contiguous) {
    take_over(source, out, s);
  } else {
    copy(source, out, s);
  }
}

void run_updates(Work& work, UpdateMode mode, array& out, const array& updates, const Stream& s) {
  work.in = input_address(updates, s);
  work.out = out.size() ? output_address(out) : nullptr;  // empty: every index is outside
  work.result = &out;
  if (mode != UpdateMode::Replace) {
    start(work, s, [&](const IndexVariant& variant) {
      return scatter_combine_call(variant, mode, out.dtype());
    });
    return;
  }
  check(updates.size() < (size_t{1} << 32), "scatter", "2^32 updates or more are not available ",
        "on the GPU in this version; run it with stream=mx.cpu.");
  size_t bytes = out.size() * sizeof(uint32_t);
  Scratch winners(bytes, s);
  clear(winners.get(), bytes, s);
  work.winners = winners.get();
  for (bool claim : {true, false}) {
    start(work, s, [&](const IndexVariant& variant) {
      return scatter_replace_call(variant, out.itemsize(), claim);
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
  Work work;
  work.fault_op = kernels::FaultOp::scatter;
  work.index_shape = Shape(updates.shape().begin(), slice_begin);
  work.slice_shape = Shape(slice_begin, updates.shape().end());
  work.array_index_strides = Strides(index_ndim, 0);
  work.array_slice_strides = out.strides();
  work.update_index_strides = Strides(updates.strides().begin(), stride_begin);
  work.update_slice_strides = Strides(stride_begin, updates.strides().end());
  for (size_t k = 0; k < primitive.axes().size(); k++) {
    int axis = primitive.axes()[k];
    work.sources.push_back(
        {&inputs[k + 1], axis, out.shape(axis), work.slice_shape[axis], out.strides(axis)});
  }
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
  Work work = axis_work(kernels::FaultOp::scatter_axis, out, inputs[1], inputs[2].shape(),
                        primitive.axis());
  work.update_index_strides = inputs[2].strides();
  run_updates(work, primitive.mode(), out, inputs[2], s);
}

const Register<Gather> gather(eval_gather);
const Register<GatherAxis> gather_axis(eval_gather_axis);
const Register<Scatter> scatter(eval_scatter);
const Register<ScatterAxis> scatter_axis(eval_scatter_axis);

}  // namespace

KernelCall gather_call(const IndexVariant& variant, size_t word) {
  return call_of("gather", variant, word_name(word));
}

KernelCall scatter_replace_call(const IndexVariant& variant, size_t word, bool claim) {
  return call_of("scatter_replace", variant,
                 std::string(word_name(word)) + (claim ? ", true" : ", false"));
}

KernelCall scatter_combine_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype) {
  return call_of("scatter_combine", variant,
                 std::string("op::") + update_op_name(mode) + ", " + type_name(dtype));
}

}  // namespace mlx::core::cuda
