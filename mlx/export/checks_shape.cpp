// Checks of nodes that move elements: shapes, slices, layouts, indices, masks.
#include <algorithm>

#include "mlx/export/checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/broadcast.h"
#include "mlx/primitives/concatenate.h"
#include "mlx/primitives/diagonal.h"
#include "mlx/primitives/gather.h"
#include "mlx/primitives/layout.h"
#include "mlx/primitives/mask.h"
#include "mlx/primitives/pad.h"
#include "mlx/primitives/scatter.h"
#include "mlx/primitives/shape.h"
#include "mlx/primitives/slice.h"
#include "mlx/primitives/transforms.h"
#include "mlx/primitives/transpose.h"

namespace mlx::core {

void NodeCheck::fail(const char* what) const {
  std::ostringstream os;
  for (auto& in : inputs_) os << (&in == inputs_.data() ? "" : ", ") << in.dtype() << in.shape();
  ByteReader::expect(false, "A node ", name_, " of [", os.str(), "] is not possible: ", what, ".");
  throw std::runtime_error(what);
}

namespace {

bool all_at_least(const Shape& shape, ShapeElem least) {
  return std::ranges::all_of(shape, [=](ShapeElem n) { return n >= least; });
}

void check_spec(const SliceSpec& spec, const NodeCheck& node) {
  size_t n = node.ndim();
  node.expect(spec.start.size() == n && spec.stop.size() == n && spec.step.size() == n,
              "the slice has other axes");
  node.expect(std::ranges::count(spec.step, 0) == 0, "a step is 0");
}

void check_start(const std::vector<int>& axes, size_t start, const NodeCheck& node) {
  node.distinct_axes(axes, node.ndim());
  node.is_integer(start);
  node.has_shape(start, {static_cast<ShapeElem>(axes.size())});
}

bool fits_inside(const Shape& part, const Shape& whole) {
  return part.size() == whole.size() && all_at_least(part, 0) &&
         std::ranges::equal(part, whole, std::ranges::less_equal());
}

/** Indices for each of the axes, from input 1 on; returns where they end. */
size_t check_index_inputs(const std::vector<int>& axes, const NodeCheck& node) {
  node.distinct_axes(axes, node.ndim());
  for (size_t i = 1; i <= axes.size(); i++) node.is_integer(i);
  return 1 + axes.size();
}

void check_mask_inputs(const NodeCheck& node) {
  node.is(1, bool_);
  bool covers = node.ndim(1) <= node.ndim() &&
                std::equal(node.shape(1).begin(), node.shape(1).end(), node.shape().begin());
  node.expect(covers, "the mask does not cover leading axes");
}

int64_t count_true(const array& mask) {
  array all = contiguous(mask, false, Device::cpu);
  all.eval();
  return std::count(all.data<bool>(), all.data<bool>() + all.size(), true);
}

/** Something must be there to be indexed, unless nothing is. */
void check_not_empty(int extent, size_t indexed, const NodeCheck& node) {
  node.expect(extent > 0 || indexed == 0, "indices point into an empty axis");
}

}  // namespace

template <>
void check_node(const Reshape&, const NodeCheck& node) {
  node.takes_one();
}

template <>
void check_node(const Flatten& p, const NodeCheck& node) {
  node.takes_one();
  auto [start, end] = p.axes();
  node.axis(start, node.ndim());
  node.axis(end, node.ndim());
  node.expect(start <= end, "axes are not in order");
}

template <>
void check_node(const Unflatten& p, const NodeCheck& node) {
  node.takes_one();
  node.axis(p.axis(), node.ndim());
}

template <>
void check_node(const Squeeze& p, const NodeCheck& node) {
  node.takes_one();
  node.ascending_axes(p.axes(), node.ndim());
}

template <>
void check_node(const ExpandDims& p, const NodeCheck& node) {
  node.takes_one();
  node.ascending_axes(p.axes(), node.ndim() + static_cast<int>(p.axes().size()));
}

template <>
void check_node(const Transpose& p, const NodeCheck& node) {
  node.takes_one();
  node.distinct_axes(p.axes(), node.ndim());
  node.expect(static_cast<int>(p.axes().size()) == node.ndim(), "axes are missing");
}

template <>
void check_node(const Broadcast& p, const NodeCheck& node) {
  node.takes_one();
  node.expect(all_at_least(std::get<0>(p.fields()), -1), "an extent is negative");
}

template <>
void check_node(const Diagonal&, const NodeCheck& node) {
  node.takes_one();
  node.has_axes(0, 2);
}

template <>
void check_node(const Identity&, const NodeCheck& node) {
  node.takes_one();
}

template <>
void check_node(const StopGradient&, const NodeCheck& node) {
  node.takes_one();
}

template <>
void check_node(const Copy&, const NodeCheck& node) {
  node.takes_one();
}

template <>
void check_node(const Contiguous&, const NodeCheck& node) {
  node.takes_one();
}

template <>
void check_node(const AsStrided& p, const NodeCheck& node) {
  node.takes_one();
  node.expect(std::get<0>(p.fields()).size() == p.strides().size(), "strides are missing");
}

template <>
void check_node(const View& p, const NodeCheck& node) {
  node.takes(1);
  node.gives({p.dtype()});
}

template <>
void check_node(const Depends& p, const NodeCheck& node) {
  size_t n = std::get<0>(p.fields());
  node.expect(n == node.outputs() && n <= node.inputs(), "it has another number of outputs");
  for (size_t i = 0; i < n; i++) node.expect(node.output(i) == node.dtype(i), "dtypes differ");
}

template <>
void check_node(const NumberOfElements& p, const NodeCheck& node) {
  node.takes(1);
  node.distinct_axes(p.axes(), node.ndim());
  node.gives({p.dtype()});
}

template <>
void check_node(const Concatenate& p, const NodeCheck& node) {
  node.takes(1, node.inputs());
  node.axis(p.axis(), node.ndim());
  node.alike(0, node.inputs());
  node.gives({node.dtype()});
}

template <>
void check_node(const Pad& p, const NodeCheck& node) {
  node.takes(2);
  node.alike(0, 2);
  node.has_ndim(1, 0);
  node.gives({node.dtype()});
  size_t n = node.ndim();
  node.expect(p.low().size() == n && p.high().size() == n, "padding is missing");
  node.expect(all_at_least(p.low(), 0) && all_at_least(p.high(), 0), "padding is negative");
}

template <>
void check_node(const Slice& p, const NodeCheck& node) {
  node.takes_one();
  check_spec(p.spec(), node);
}

template <>
void check_node(const SliceUpdate& p, const NodeCheck& node) {
  node.takes(2);
  node.alike(0, 2);
  node.gives({node.dtype()});
  check_spec(p.spec(), node);
}

template <>
void check_node(const DynamicSlice& p, const NodeCheck& node) {
  node.takes(2);
  node.gives({node.dtype()});
  check_start(p.axes(), 1, node);
  node.expect(fits_inside(p.size(), node.shape()), "the slice does not fit");
}

template <>
void check_node(const DynamicSliceUpdate& p, const NodeCheck& node) {
  node.takes(3);
  node.alike(0, 2);
  node.gives({node.dtype()});
  check_start(p.axes(), 2, node);
  node.expect(fits_inside(node.shape(1), node.shape()), "the update does not fit");
}

template <>
void check_node(const Split& p, const NodeCheck& node) {
  node.takes(1);
  node.axis(p.axis(), node.ndim());
  const auto& [axis, indices, parts] = p.fields();
  size_t n = parts > 0 ? static_cast<size_t>(parts) : indices.size() + 1;
  node.expect(parts >= 0 && n == node.outputs(), "it has another number of parts");
  node.gives(n, node.dtype());
}

template <>
void check_node(const Gather& p, const NodeCheck& node) {
  node.takes(1 + p.axes().size());
  node.gives({node.dtype()});
  check_index_inputs(p.axes(), node);
  Shape size = p.slice_of(node.in(0));
  for (int axis : p.axes()) check_not_empty(node.shape()[axis], num_elements(size), node);
}

template <>
void check_node(const GatherAxis& p, const NodeCheck& node) {
  node.takes(2);
  node.gives({node.dtype()});
  node.axis(p.axis(), node.ndim());
  node.has_ndim(1, node.ndim());
  node.is_integer(1);
  check_not_empty(node.shape()[p.axis()], node.in(1).size(), node);
}

template <>
void check_node(const Scatter& p, const NodeCheck& node) {
  node.takes(2 + p.axes().size());
  node.gives({node.dtype()});
  node.is(check_index_inputs(p.axes(), node), node.dtype());
  for (int axis : p.axes()) {
    check_not_empty(node.shape()[axis], node.in(node.inputs() - 1).size(), node);
  }
}

template <>
void check_node(const ScatterAxis& p, const NodeCheck& node) {
  node.takes(3);
  node.gives({node.dtype()});
  node.axis(p.axis(), node.ndim());
  node.has_ndim(1, node.ndim());
  node.has_ndim(2, node.ndim());
  node.is_integer(1);
  node.is(2, node.dtype());
  check_not_empty(node.shape()[p.axis()], node.in(2).size(), node);
}

template <>
void check_node(const MaskedSelect& p, const NodeCheck& node) {
  node.takes(2);
  node.gives({node.dtype()});
  check_mask_inputs(node);
  const array& mask = node.in(1);  // a constant, as the count has to be known
  node.expect(mask.data_shared_ptr() && count_true(mask) == std::get<0>(p.fields()),
              "the mask has another number of true elements");
}

template <>
void check_node(const MaskedScatter&, const NodeCheck& node) {
  node.takes(3);
  node.gives({node.dtype()});
  check_mask_inputs(node);
  node.has_ndim(2, 1);
  node.is(2, node.dtype());
}

}  // namespace mlx::core
