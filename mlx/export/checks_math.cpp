// Checks of nodes that compute: element-wise ops, reductions, order, products, transforms, and
// linear algebra.
#include <algorithm>

#include "mlx/export/checks.h"
#include "mlx/primitives/conv.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/exp_sum.h"
#include "mlx/primitives/fft.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/random.h"
#include "mlx/primitives/reduce.h"
#include "mlx/primitives/scan.h"
#include "mlx/primitives/sort.h"

namespace mlx::core {

namespace {

Shape leading(const Shape& shape, size_t without) {
  return Shape(shape.begin(), shape.end() - static_cast<std::ptrdiff_t>(without));
}

/** Matrices whose inner axes meet. */
void check_product(size_t a, size_t b, const NodeCheck& node) {
  node.has_axes(a, 2);
  node.has_axes(b, 2);
  node.alike(a, b + 1);
  node.expect(node.in(a).shape(-1) == node.in(b).shape(-2), "inner axes differ");
}

}  // namespace

template <>
void check_node(const Elementwise& p, const NodeCheck& node) {
  const auto& info = elementwise_info(p.op());
  node.takes(info.arity);
  node.gives({p.result()});
  if (info.rule == DtypeRule::Cast) return;
  size_t first = info.rule == DtypeRule::Select;
  if (first) node.is(0, bool_);
  node.alike(first, node.inputs());
  Dtype dtype = node.dtype(first);
  node.expect(elementwise_accepts(p.op(), dtype), "the operation has no such dtype");
  node.expect(elementwise_result_type(p.op(), dtype) == p.result(), "the result has another dtype");
}

template <>
void check_node(const Reduce& p, const NodeCheck& node) {
  node.takes(1);
  node.ascending_axes(p.axes(), node.ndim());
  node.gives({reduce_result_type(p.op(), node.dtype())});
  bool averages =
      p.op() == ReduceOp::Mean || p.op() == ReduceOp::Var || p.op() == ReduceOp::LogSumExp;
  node.expect(!averages || issubdtype(node.dtype(), inexact), "the operation has no such dtype");
  if (p.op() == ReduceOp::Max || p.op() == ReduceOp::Min) {
    for (int axis : p.axes()) node.expect(node.shape()[axis] > 0, "an empty axis has no extremum");
  }
}

template <>
void check_node(const ArgReduce& p, const NodeCheck& node) {
  node.takes(1);
  node.axis(p.axis(), node.ndim());
  node.expect(node.shape()[p.axis()] > 0, "an empty axis has no extremum");
  node.gives({uint32});
}

template <>
void check_node(const Scan& p, const NodeCheck& node) {
  node.takes_one();
  node.axis(p.axis(), node.ndim());
  bool extremum = p.op() == ScanOp::Max || p.op() == ScanOp::Min;
  node.expect(p.inclusive() || !extremum, "extremes are inclusive only");
  node.expect(p.op() != ScanOp::LogAddExp || issubdtype(node.dtype(), inexact),
              "the operation has no such dtype");
}

template <>
void check_node(const RunningExpSum& p, const NodeCheck& node) {
  node.takes(3);
  node.alike(0, 3);
  node.gives({node.dtype()});
  node.expect(issubdtype(node.dtype(), inexact), "an input is not of a floating dtype");
  node.axis(std::get<0>(p.fields()), node.ndim());
  for (size_t i : {1, 2}) node.has_shape(i, node.shape());
}

template <>
void check_node(const Sort& p, const NodeCheck& node) {
  node.takes(1);
  node.has_axes(0, 1);
  node.gives({p.positions() ? uint32 : node.dtype()});
}

template <>
void check_node(const Partition& p, const NodeCheck& node) {
  node.takes(1);
  node.has_axes(0, 1);
  node.gives({p.positions() ? uint32 : node.dtype()});
  node.expect(p.kth() >= 0 && p.kth() < node.in(0).shape(-1), "kth is out of range");
}

template <>
void check_node(const SearchSorted&, const NodeCheck& node) {
  node.takes(2);
  node.alike(0, 2);
  node.has_ndim(0, 1);
  node.gives({uint32});
}

template <>
void check_node(const Unique& p, const NodeCheck& node) {
  node.takes(1);
  node.has_ndim(0, 1);
  node.gives({uint32, uint32, int32});
  node.expect(p.size() >= 0, "the size is negative");
}

template <>
void check_node(const RandomBits& p, const NodeCheck& node) {
  const auto& [shape, width] = p.fields();
  node.takes(1);
  node.is(0, uint32);
  node.expect(node.ndim() > 0 && node.in(0).shape(-1) == 2, "keys are pairs");
  node.expect(width == 1 || width == 2 || width == 4, "words have 1, 2 or 4 bytes");
  node.expect(std::ranges::all_of(shape, [](int n) { return n >= 0; }), "an extent is negative");
  node.gives({RandomBits::dtype_of(width)});
}

template <>
void check_node(const Matmul&, const NodeCheck& node) {
  node.takes(2);
  check_product(0, 1, node);
  node.gives({node.dtype()});
}

template <>
void check_node(const AddMM&, const NodeCheck& node) {
  node.takes(3);
  check_product(0, 1, node);
  node.is(2, node.dtype());
  node.gives({node.dtype()});
  Shape product = matmul_shape(node.shape(0), node.shape(1));
  node.expect(broadcast_shapes(product, node.shape(2)) == product, "the addend does not broadcast");
}

template <>
void check_node(const GatherMM&, const NodeCheck& node) {
  node.takes(4);
  check_product(0, 1, node);
  node.is(2, int64);
  node.is(3, int64);
  node.has_shape(3, node.shape(2));
  node.gives({node.dtype()});
}

template <>
void check_node(const SegmentedMM&, const NodeCheck& node) {
  node.takes(3);
  check_product(0, 1, node);
  node.has_ndim(0, 2);
  node.has_ndim(1, 2);
  node.is(2, int64);
  node.expect(node.ndim(2) > 0 && node.in(2).shape(-1) == 2, "segments are pairs");
  node.gives({node.dtype()});
}

namespace {

/** What a transform's input and output are made of. */
void check_transform(FFT::Kind kind, bool inverse, const NodeCheck& node) {
  node.takes(1);
  bool real = kind == FFT::Kind::from_half;
  Dtype in = node.dtype();
  node.expect(is_complex_dtype(in) || (!real && (in == float32 || in == float64)),
              "the transform has no such dtype");
  node.expect(kind != FFT::Kind::to_half || (!is_complex_dtype(in) && !inverse),
              "half of a transform is that of real numbers");
  node.expect(!real || inverse, "half of a transform is one way");
  node.gives({real ? real_dtype(in) : complex_dtype(in)});
}

}  // namespace

template <>
void check_node(const FFT& p, const NodeCheck& node) {
  check_transform(p.kind(), p.inverse(), node);
  node.axis(p.axis(), node.ndim());
  node.expect(p.n() > 0, "the length is not positive");
}

template <>
void check_node(const FFTN& p, const NodeCheck& node) {
  check_transform(p.kind(), p.inverse(), node);
  auto [kind, axes, lengths, inverse, scales] = p.fields();
  node.distinct_axes(axes, node.ndim());
  node.expect(axes.size() > 1 && lengths.size() == axes.size() && scales.size() == axes.size(),
              "an axis lacks its length or scale");
  node.expect(std::ranges::all_of(lengths, [](int n) { return n > 0; }),
              "a length is not positive");
}

namespace {

/** Parameters of a convolution over the spatial axes of input 0. */
void check_convolution(const ConvParams& p, const NodeCheck& node) {
  node.takes(2);
  node.alike(0, 2);
  node.is_floating(0);
  node.gives({node.dtype()});
  node.has_axes(0, 3);
  node.expect(node.ndim() <= 5, "there are more than three spatial axes");
  node.has_ndim(1, node.ndim());
  size_t spatial = node.ndim() - 2;
  bool complete = true, positive = p.groups > 0;
  for (const auto* list : {&p.stride, &p.kernel_dilation, &p.input_dilation}) {
    complete &= list->size() == spatial;
    positive &= std::ranges::all_of(*list, [](int n) { return n > 0; });
  }
  complete &= p.padding_lo.size() == spatial && p.padding_hi.size() == spatial;
  node.expect(complete, "parameters of spatial axes are missing");
  node.expect(positive, "a stride, dilation or number of groups is not positive");
}

}  // namespace

template <>
void check_node(const Convolution& p, const NodeCheck& node) {
  const ConvParams& params = p.params();
  check_convolution(params, node);
  node.expect(node.in(0).shape(-1) == int64_t{node.in(1).shape(-1)} * params.groups &&
                  node.in(1).shape(0) % params.groups == 0,
              "channels do not fit the groups");
}

template <>
void check_node(const ConvolutionWeightGradient& p, const NodeCheck& node) {
  const ConvParams& params = p.params();
  check_convolution(params, node);
  node.expect(p.kernel().size() == params.stride.size() &&
                  std::ranges::all_of(p.kernel(), [](int n) { return n > 0; }),
              "the kernel has other axes");
  node.expect(
      node.in(0).shape(-1) % params.groups == 0 && node.in(1).shape(-1) % params.groups == 0,
      "channels do not fit the groups");
  Shape weight = p.kernel();
  weight.insert(weight.begin(), node.in(1).shape(-1));
  weight.push_back(node.in(0).shape(-1) / params.groups);
  node.has_shape(1, Convolution::output_shape(node.shape(), weight, params));
}

namespace {

/** Matrices of a dtype that decompositions have, all square if `square`. */
void check_matrices(const MatrixPrimitive& p, size_t inputs, bool square, const NodeCheck& node) {
  node.takes(inputs);
  node.has_axes(0, 2);
  Dtype dtype = node.dtype();
  node.expect(real_dtype(dtype) == float32 || real_dtype(dtype) == float64,
              "the operation has no such dtype");
  node.expect(!square || node.in(0).shape(-1) == node.in(0).shape(-2), "the matrix is not square");
  std::vector<array> all;
  for (size_t i = 0; i < inputs; i++) all.push_back(node.in(i));
  auto outputs = p.outputs_for(all);
  node.expect(outputs.size() == node.outputs(), "it has another number of outputs");
  for (size_t i = 0; i < outputs.size(); i++) {
    node.expect(outputs[i].second == node.output(i), "its outputs have other dtypes");
  }
}

void check_system(const MatrixPrimitive& p, const NodeCheck& node) {
  node.takes(2);
  node.has_axes(1, 2);
  check_matrices(p, 2, true, node);
  check_product(0, 1, node);
  node.expect(leading(node.shape(0), 2) == leading(node.shape(1), 2), "batches differ");
}

}  // namespace

template <>
void check_node(const Cholesky& p, const NodeCheck& node) {
  check_matrices(p, 1, true, node);
}

template <>
void check_node(const TriangularSolve& p, const NodeCheck& node) {
  check_system(p, node);
}

template <>
void check_node(const Solve& p, const NodeCheck& node) {
  check_system(p, node);
}

template <>
void check_node(const Inverse& p, const NodeCheck& node) {
  check_matrices(p, 1, true, node);
}

template <>
void check_node(const LU& p, const NodeCheck& node) {
  check_matrices(p, 1, false, node);
}

template <>
void check_node(const QR& p, const NodeCheck& node) {
  check_matrices(p, 1, false, node);
}

template <>
void check_node(const SVD& p, const NodeCheck& node) {
  check_matrices(p, 1, false, node);
}

template <>
void check_node(const Eigh& p, const NodeCheck& node) {
  check_matrices(p, 1, true, node);
}

template <>
void check_node(const Eig& p, const NodeCheck& node) {
  check_matrices(p, 1, true, node);
}

}  // namespace mlx::core
