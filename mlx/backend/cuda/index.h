// What gathers and scatters on the GPU share: the description of the work, and its kernels' start.
// The forms along an axis are the same kernels: every element is a slice of its own, and the
// position also walks the array's other axes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/backend/cuda/parameters.h"

namespace mlx::core::cuda {

/** What a kernel of this family is compiled for: who reports, and how much there is to walk. */
struct IndexVariant {
  kernels::FaultOp op;
  size_t sources;
  int index_rank, slice_rank;
};

/** Indices along one axis of the array, which walk the positions by `strides`. */
struct IndexSource {
  const array* indices;
  Strides strides;
  int axis;
  int64_t extent, slice, stride;  // of the array along the axis, in elements
};

struct IndexWork {
  kernels::FaultOp fault_op;
  Shape index_shape, slice_shape;
  std::vector<IndexSource> sources;
  // How positions and slices walk the array and the updates (0 for a gather).
  Strides array_index_strides, array_slice_strides;
  Strides update_index_strides, update_slice_strides;
  const void* in = nullptr;
  void* out = nullptr;
  void* marks = nullptr;    // the kernel's notes: winners or keys
  int64_t unit = 1;         // divides the offsets of all positions that keys are made of
  array* result = nullptr;  // carries what the kernel may report

  int64_t positions() const { return static_cast<int64_t>(num_elements(index_shape)); }
  int64_t slice_elements() const { return static_cast<int64_t>(num_elements(slice_shape)); }
};

/** Work of positions and slices: an array of `indices` for each of `axes` of `a`. */
IndexWork slice_work(kernels::FaultOp op, const array& a, const array* indices,
                     const std::vector<int>& axes, Shape index_shape, Shape slice_shape);

/** Positions that are elements: `indices`, which broadcast to them, along one axis of `a`, and
 *  places along the others. */
IndexWork axis_work(kernels::FaultOp op, const array& a, const array& indices,
                    const Shape& positions, int axis);

/** Starts the kernel that `call_for` the variant names over all elements. */
void start_indexed(const IndexWork& work, const Stream& s,
                   const std::function<KernelCall(const IndexVariant&)>& call_for);

/** A call of `name`<op, types, ...> on Indexed. */
KernelCall indexed_call(const char* header, const char* name, const IndexVariant& variant,
                        const std::string& types);

KernelCall gather_call(const IndexVariant& variant, size_t word);

/** Of rows, each by so many lanes. */
KernelCall gather_rows_call(kernels::FaultOp op, size_t word, int lanes);

/** The type of indices as kernels know it. */
int64_t index_kind(Dtype dtype);

}  // namespace mlx::core::cuda
