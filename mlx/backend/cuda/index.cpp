// From index arrays to the arguments of kernels that walk them.
#include "mlx/backend/cuda/index.h"

#include <algorithm>

#include "mlx/backend/cuda/kernels/index_call.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

struct Walks {
  CollapsedLayout index, slice;  // strides of each source, the array and the updates; of the latter
  int index_rank, slice_rank;
};

Walks collapse(const IndexWork& work) {
  std::vector<Strides> strides;
  for (auto& source : work.sources) {
    strides.push_back(source.strides);
  }
  if (work.sources.empty()) {
    strides.emplace_back(work.index_shape.size(), 0);
  }
  strides.push_back(work.array_index_strides);
  strides.push_back(work.update_index_strides);
  Walks walks{
      collapse_dims(work.index_shape, std::move(strides)),
      collapse_dims(work.slice_shape, {work.array_slice_strides, work.update_slice_strides}), 0, 0};
  walks.index_rank = rank_class(walks.index.shape.size());
  walks.slice_rank = rank_class(walks.slice.shape.size());
  return walks;
}

}  // namespace

int64_t index_kind(Dtype dtype) {
  auto size = static_cast<int64_t>(dtype.size());
  return issubdtype(dtype, signedinteger) ? -size : size;
}

IndexWork slice_work(kernels::FaultOp op, const array& a, const array* indices,
                     const std::vector<int>& axes, Shape index_shape, Shape slice_shape) {
  IndexWork work;
  work.fault_op = op;
  work.array_index_strides = work.update_index_strides = Strides(index_shape.size(), 0);
  work.array_slice_strides = a.strides();
  work.update_slice_strides = Strides(a.ndim(), 0);
  for (size_t k = 0; k < axes.size(); k++) {
    int axis = axes[k];
    work.sources.push_back({&indices[k], broadcast_strides(indices[k], index_shape), axis,
                            a.shape(axis), slice_shape[axis], a.strides(axis)});
  }
  work.index_shape = std::move(index_shape);
  work.slice_shape = std::move(slice_shape);
  return work;
}

IndexWork axis_work(kernels::FaultOp op, const array& a, const array& indices,
                    const Shape& positions, int axis) {
  IndexWork work;
  work.fault_op = op;
  work.index_shape = positions;
  work.array_index_strides = a.strides();
  work.array_index_strides[axis] = 0;
  work.update_index_strides = Strides(a.ndim(), 0);
  work.sources.push_back(
      {&indices, broadcast_strides(indices, positions), axis, a.shape(axis), 1, a.strides(axis)});
  return work;
}

void start_indexed(const IndexWork& work, const Stream& s,
                   const std::function<KernelCall(const IndexVariant&)>& call_for) {
  int64_t count = work.positions() * work.slice_elements();
  if (count == 0) {
    return;
  }
  Walks walks = collapse(work);
  size_t sources = std::max<size_t>(work.sources.size(), 1);
  KernelCall call =
      call_for(IndexVariant{work.fault_op, sources, walks.index_rank, walks.slice_rank});
  kernels::Fault* fault = open_report(*work.result, s);
  Parameters parameters(kernels::IndexedCall{work.positions(), work.slice_elements(), work.unit,
                                             work.in, work.out, work.marks, fault});
  parameters.add_padded(walks.index.shape, walks.index_rank, 1);
  for (auto& strides : walks.index.strides) {
    parameters.add_padded(strides, walks.index_rank, 0);
  }
  parameters.add_padded(walks.slice.shape, walks.slice_rank, 1);
  for (auto& strides : walks.slice.strides) {
    parameters.add_padded(strides, walks.slice_rank, 0);
  }
  for (auto& source : work.sources) {
    parameters.add_struct(kernels::IndexSource{input_address(*source.indices, s),
                                               index_kind(source.indices->dtype()), source.axis,
                                               source.extent, source.slice, source.stride});
  }
  if (work.sources.empty()) {
    parameters.add_struct(kernels::IndexSource{nullptr, 0, 0, 1, 1, 0});
  }
  parameters.launch(kernel_of(call, s), blocks_for(count, threads), threads, s);
}

KernelCall indexed_call(const char* header, const char* name, const IndexVariant& variant,
                        const std::string& types) {
  std::string numbers = std::to_string(variant.sources) + ", " +
                        std::to_string(variant.index_rank) + ", " +
                        std::to_string(variant.slice_rank) + ">";
  return {header, "Indexed<" + numbers,
          std::string(name) + "<FaultOp::" + kernels::fault_op_name(variant.op) + ", " + types +
              ", " + numbers,
          threads};
}

}  // namespace mlx::core::cuda
