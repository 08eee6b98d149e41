// Gather on the GPU.
#include "mlx/primitives/gather.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "mlx/backend/cuda/index.h"
#include "mlx/backend/cuda/kernels/gather_rows_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

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

/** How indices step from row to row where the work is rows of neighbours: one index for each, and
 *  nothing else that moves. */
std::optional<int64_t> row_step(const IndexWork& work) {
  auto slice = collapse_dims(work.slice_shape, {work.array_slice_strides});
  bool dense = slice.shape.size() == 1 && (slice.shape[0] == 1 || slice.strides[0][0] == 1);
  if (work.sources.size() != 1 || !dense) {
    return std::nullopt;
  }
  auto index = collapse_dims(work.index_shape, {work.sources[0].strides, work.array_index_strides});
  bool in_row = index.shape.size() == 1 && index.strides[1][0] == 0;
  return in_row ? std::optional(index.strides[0][0]) : std::nullopt;
}

void start_rows(const IndexWork& work, int64_t step, size_t word, const Stream& s) {
  const IndexSource& source = work.sources[0];
  kernels::GatherRows call{};
  call.rows = work.positions();
  call.words = work.slice_elements();
  call.step = step;
  call.source = {input_address(*source.indices, s),
                 index_kind(source.indices->dtype()),
                 source.axis,
                 source.extent,
                 source.slice,
                 source.stride};
  call.in = work.in;
  call.out = work.out;
  call.fault = open_report(*work.result, s);
  auto wanted = static_cast<uint64_t>(call.words <= 32 ? call.words : (call.words + 3) / 4);
  int lanes = static_cast<int>(std::bit_ceil(std::min<uint64_t>(wanted, threads)));
  static auto* kernels = new KernelTable;
  Kernel kernel =
      kernels->find({static_cast<int64_t>(work.fault_op), static_cast<int64_t>(word), lanes}, s,
                    [&] { return gather_rows_call(work.fault_op, word, lanes); });
  launch(kernel, blocks_for(call.rows, threads / lanes), threads, s, call);
}

void start_gather(IndexWork& work, size_t word, const Stream& s) {
  if (auto step = row_step(work)) {
    start_rows(work, *step, word, s);
    return;
  }
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

KernelCall gather_rows_call(kernels::FaultOp op, size_t word, int lanes) {
  return {"gather.h", "GatherRows",
          std::string("gather_rows<FaultOp::") + kernels::fault_op_name(op) + ", " +
              word_name(word) + ", " + std::to_string(lanes) + ">",
          threads};
}

KernelCall gather_call(const IndexVariant& variant, size_t word) {
  return indexed_call("gather.h", "gather", variant, word_name(word));
}

}  // namespace mlx::core::cuda
