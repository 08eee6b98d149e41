// Checks of nodes that do at once what several could: softmax, norms, pooling, attention, losses,
// recurrent layers, and products with quantised matrices.
#include <algorithm>

#include "mlx/export/checks.h"
#include "mlx/optable/quantized.h"
#include "mlx/primitives/attention.h"
#include "mlx/primitives/batch_norm.h"
#include "mlx/primitives/cross_entropy.h"
#include "mlx/primitives/gated_delta.h"
#include "mlx/primitives/norm.h"
#include "mlx/primitives/pool.h"
#include "mlx/primitives/quantized.h"
#include "mlx/primitives/recurrent.h"
#include "mlx/primitives/rope.h"
#include "mlx/primitives/softmax.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** What losses and the like are computed in. */
Dtype wide(Dtype dtype) { return dtype == float64 ? float64 : float32; }

Shape leading(const Shape& shape, size_t without = 1) {
  return Shape(shape.begin(), shape.end() - static_cast<std::ptrdiff_t>(without));
}

Shape with_last(Shape shape, ShapeElem last) {
  shape.push_back(last);
  return shape;
}

}  // namespace

template <>
void check_node(const Softmax& p, const NodeCheck& node) {
  node.takes_one();
  node.is_floating(0);
  node.axis(p.first(), node.ndim());
  node.axis(p.last(), node.ndim());
  node.expect(p.first() <= p.last(), "axes are not in order");
}

template <>
void check_node(const SoftmaxJacobian& p, const NodeCheck& node) {
  node.takes(2);
  node.alike(0, 2);
  node.is_floating(0);
  node.has_shape(1, node.shape());
  node.expect(p.count() > 0 && p.count() <= node.ndim(), "axes are out of range");
  node.gives({node.dtype()});
}

namespace {

void check_norm_inputs(const NormSpec& spec, size_t further, const NodeCheck& node) {
  size_t parameters = spec.has_weight + (further ? 0 : spec.has_bias);
  node.takes(1 + parameters + further);
  node.alike(0, node.inputs());
  node.is_floating(0);
  node.has_axes(0, 1);
  for (size_t i = 1; i <= parameters; i++) node.has_shape(i, {node.in(0).shape(-1)});
}

}  // namespace

template <>
void check_node(const Norm& p, const NodeCheck& node) {
  check_norm_inputs(p.spec(), 0, node);
  node.gives({node.dtype()});
}

template <>
void check_node(const NormBackward& p, const NodeCheck& node) {
  check_norm_inputs(p.spec(), 1, node);
  node.has_shape(node.inputs() - 1, node.shape());
  node.gives(1 + p.spec().has_weight + p.spec().has_bias, node.dtype());
}

namespace {

/** Floating inputs, the first with channels last; those from 1 to before `end` have one for each.
 */
void check_channels(size_t inputs, size_t end, const NodeCheck& node) {
  node.takes(inputs);
  node.alike(0, inputs);
  node.is_floating(0);
  node.has_axes(0, 2);
  for (size_t i = 1; i < end; i++) node.has_shape(i, {node.in(0).shape(-1)});
  node.gives(3, node.dtype());
}

void check_windows(const PoolSpec& spec, const NodeCheck& node) {
  bool complete = true;
  for (const auto* list : {&spec.kernel, &spec.stride, &spec.padding}) {
    complete &= list->size() + 2 == node.shape().size();
  }
  node.has_axes(0, 3);
  node.expect(complete, "parameters of spatial axes are missing");
  auto positive = [](int n) { return n > 0; };
  node.expect(std::ranges::all_of(spec.kernel, positive) &&
                  std::ranges::all_of(spec.stride, positive) &&
                  std::ranges::all_of(spec.padding, [](int n) { return n >= 0; }),
              "a kernel or stride is not positive, or padding is negative");
  node.expect(spec.kind == PoolSpec::Max || issubdtype(node.dtype(), inexact),
              "means are not of integers");
  node.gives({node.dtype()});
}

}  // namespace

template <>
void check_node(const BatchNorm&, const NodeCheck& node) {
  check_channels(3, 3, node);
}

template <>
void check_node(const BatchNormBackward&, const NodeCheck& node) {
  check_channels(7, 4, node);
  node.has_shape(4, node.shape());
  for (size_t i = 5; i < 7; i++) node.has_shape(i, node.shape(1));
}

template <>
void check_node(const Pool& p, const NodeCheck& node) {
  node.takes(1);
  check_windows(p.spec(), node);
}

template <>
void check_node(const PoolBackward& p, const NodeCheck& node) {
  size_t inputs = p.spec().kind == PoolSpec::Max ? 3 : 2;
  node.takes(inputs);
  node.alike(0, inputs);
  check_windows(p.spec(), node);
  for (size_t i = 1; i < inputs; i++) node.has_shape(i, p.spec().windows(node.shape()));
}

template <>
void check_node(const Rope& p, const NodeCheck& node) {
  const RopeSpec& spec = p.spec();
  node.takes(2 + spec.has_freqs);
  node.is_floating(0);
  node.has_axes(0, 2);
  node.expect(spec.dims > 0 && spec.dims % 2 == 0 && spec.dims <= node.in(0).shape(-1),
              "dims is not even or too large");
  node.expect(node.dtype(1) == int32 || node.dtype(1) == int64, "offsets are int32 or int64");
  node.expect(node.ndim(1) <= node.ndim() - 2, "offsets have too many axes");
  for (int i = 0; i < node.ndim(1); i++) {
    int n = node.shape(1)[i];
    node.expect(n == 1 || n == node.shape()[i], "offsets do not fit the batch");
  }
  if (spec.has_freqs) {
    node.is(2, wide(node.dtype()));
    node.has_shape(2, {spec.dims / 2});
  }
  node.gives({node.dtype()});
}

namespace {

/** Inputs of Attention; returns how many. */
size_t check_attention_inputs(const AttentionSpec& spec, const NodeCheck& node) {
  size_t n = 3 + spec.has_mask + spec.has_sinks;
  node.takes(n, n + 3);
  node.alike(0, 3);
  node.is_floating(0);
  for (size_t i = 0; i < 3; i++) node.has_ndim(i, 4);
  const Shape &q = node.shape(0), &k = node.shape(1), &v = node.shape(2);
  node.expect(k[0] == q[0] && v[0] == q[0] && k[3] == q[3] && v[1] == k[1] && v[2] == k[2],
              "queries, keys and values do not fit");
  node.expect(k[1] > 0 && q[1] % k[1] == 0, "heads do not fit");
  if (spec.has_mask) {
    node.has_ndim(3, 4);
    node.expect(node.dtype(3) == bool_ || node.dtype(3) == node.dtype(), "the mask has no dtype");
    Shape scores{q[0], q[1], q[2], k[2]};
    node.expect(broadcast_shapes(node.shape(3), scores) == scores, "the mask does not broadcast");
  }
  if (spec.has_sinks) {
    node.is(n - 1, node.dtype());
    node.has_shape(n - 1, {q[1]});
  }
  return n;
}

}  // namespace

template <>
void check_node(const Attention& p, const NodeCheck& node) {
  node.takes(check_attention_inputs(p.spec(), node));
  node.gives({node.dtype(), wide(node.dtype())});
}

template <>
void check_node(const AttentionBackward& p, const NodeCheck& node) {
  size_t n = check_attention_inputs(p.spec(), node);
  node.takes(n + 3);
  Shape result = with_last(leading(node.shape(0)), node.in(2).shape(-1));
  for (size_t i : {n, n + 1}) {
    node.is(i, node.dtype());
    node.has_shape(i, result);
  }
  node.is(n + 2, wide(node.dtype()));
  node.has_shape(n + 2, leading(node.shape(0)));
  node.expect(!p.mask_gradient() || (p.spec().has_mask && node.dtype(3) != bool_),
              "there is no mask to be differentiated");
  node.gives(3 + p.mask_gradient() + p.spec().has_sinks, node.dtype());
}

namespace {

void check_targets(size_t i, const NodeCheck& node) {
  Dtype dtype = node.dtype(i);
  node.expect(dtype == int32 || dtype == uint32 || dtype == int64, "targets have another dtype");
  node.has_shape(i, leading(node.shape()));
}

void check_logits(const NodeCheck& node) {
  node.is_floating(0);
  node.expect(node.ndim() > 0 && node.in(0).shape(-1) > 0, "there are no classes");
}

}  // namespace

template <>
void check_node(const CrossEntropy&, const NodeCheck& node) {
  node.takes(2);
  check_logits(node);
  check_targets(1, node);
  node.gives(2, wide(node.dtype()));
}

template <>
void check_node(const CrossEntropyBackward&, const NodeCheck& node) {
  node.takes(4);
  check_logits(node);
  node.is(1, wide(node.dtype()));
  node.has_shape(1, leading(node.shape()));
  check_targets(2, node);
  node.is(3, wide(node.dtype()));
  node.has_shape(3, with_last(leading(node.shape()), 2));
  node.gives({node.dtype()});
}

namespace {

void check_spec(const RecurrentSpec& spec, const NodeCheck& node) {
  node.expect(!spec.has_bias || spec.kind == RecurrentSpec::Gru, "only a GRU has a bias");
  node.expect(!spec.has_cell || spec.has_cells(), "only an LSTM has cells");
}

/** Projections, weight, bias and states; returns the shape of states at all steps. */
Shape check_recurrent_inputs(const RecurrentSpec& spec, const RecurrentBackward::Inputs& at,
                             const NodeCheck& node) {
  node.alike(0, node.inputs());
  node.is_floating(0);
  node.has_axes(0, 2);
  node.has_ndim(1, 2);
  int units = node.shape(1)[1];
  node.expect(int64_t{units} * spec.gates() == node.shape(1)[0], "the weight has another shape");
  Shape states = with_last(leading(node.shape()), units);
  node.has_shape(0, with_last(leading(node.shape()), node.shape(1)[0]));
  if (at.bias >= 0) node.has_shape(at.bias, {units});
  for (int i : {at.hidden, at.cell}) {
    if (i >= 0) node.has_shape(i, with_last(leading(node.shape(), 2), units));
  }
  return states;
}

}  // namespace

template <>
void check_node(const Recurrent& p, const NodeCheck& node) {
  const RecurrentSpec& spec = p.spec();
  check_spec(spec, node);
  node.takes(2 + spec.has_bias + spec.has_hidden + spec.has_cell);
  check_recurrent_inputs(spec, RecurrentBackward::inputs_of(spec), node);
  node.gives(1 + spec.has_cells() + (spec.kept() > 0), node.dtype());
}

template <>
void check_node(const RecurrentBackward& p, const NodeCheck& node) {
  const RecurrentSpec& spec = p.spec();
  check_spec(spec, node);
  auto at = RecurrentBackward::inputs_of(spec);
  node.takes(at.count);
  Shape states = check_recurrent_inputs(spec, at, node);
  for (int i : {at.hidden_cotangent, at.cell_cotangent, at.hiddens, at.cells}) {
    if (i >= 0) node.has_shape(i, states);
  }
  if (at.kept >= 0) {
    node.has_shape(at.kept, with_last(leading(states), states.back() * spec.kept()));
  }
  node.gives(1 + (spec.kind == RecurrentSpec::Gru) + spec.has_hidden + spec.has_cell, node.dtype());
}

template <>
void check_node(const GatedDelta&, const NodeCheck& node) {
  node.takes(6, 7);
  for (size_t i = 0; i < 6; i++) node.is(i, float32);
  for (size_t i = 0; i < 3; i++) node.has_ndim(i, 4);
  const Shape &q = node.shape(0), &v = node.shape(2);
  node.has_shape(1, q);
  node.expect(q[0] == v[0] && q[1] == v[1] && q[2] > 0 && v[2] % q[2] == 0, "heads do not fit");
  Shape per_head = leading(v);
  node.expect(node.shape(3) == per_head || node.shape(3) == with_last(per_head, q[3]),
              "gates have another shape");
  node.has_shape(4, per_head);
  node.has_shape(5, {v[0], v[2], v[3], q[3]});
  if (node.inputs() == 7) {
    node.is(6, bool_);
    node.has_shape(6, {q[0], q[1]});
  }
  node.gives(2, float32);
}

namespace {

bool contains(const QuantizationChoices& choices, int value) {
  return std::ranges::find(choices.values, value) != choices.values.end();
}

void check_format(const QuantizedFormat& format, const NodeCheck& node) {
  const auto& row = quantization_row(format.mode);
  node.expect(contains(row.bits, format.bits) && contains(row.group_sizes, format.group_size),
              "there is no such quantisation");
}

/** That values of a row are whole groups and whole words. */
void check_row(const QuantizedFormat& format, int values, const NodeCheck& node) {
  node.expect(values % format.group_size == 0 && int64_t{values} * format.bits % 32 == 0,
              "rows are not whole groups");
}

/** A floating dtype of up to 32 bits. */
void check_quantizable(size_t i, const NodeCheck& node) {
  node.is_floating(i);
  node.expect(node.dtype(i) != float64, "float64 is not quantised");
}

void check_global_scale(size_t i, size_t matrix, const NodeCheck& node) {
  node.is(i, float32);
  Shape batch = leading(node.shape(matrix), std::min(node.ndim(matrix), 2));
  node.expect(broadcast_shapes(node.shape(i), batch) == batch, "global scales do not fit");
}

/** Packed words at `first`, scales, biases where `biased` of `dtype`. */
void check_packed(const QuantizedFormat& format, size_t first, Dtype dtype, const NodeCheck& node) {
  node.is(first, uint32);
  node.has_axes(first, 1);
  int words = node.in(first).shape(-1);
  node.expect(int64_t{words} * 32 % format.bits == 0 &&
                  int64_t{words} * 32 / format.bits <= std::numeric_limits<int>::max(),
              "rows are not whole words");
  check_row(format, format.values(words), node);
  Shape scales = with_last(leading(node.shape(first)), format.values(words) / format.group_size);
  for (int i = 1; i < format.arrays(); i++) {
    node.is(first + i, format.has_biases() ? dtype : uint8);
    node.has_shape(first + i, scales);
  }
}

/** The packed matrix of a product with x; inputs from `first` on, a global scale may follow. */
void check_factor(const QuantizedFormat& format, size_t first, bool transpose,
                  const NodeCheck& node) {
  check_format(format, node);
  size_t n = first + format.arrays();
  node.takes(n, n + 1);
  check_quantizable(0, node);
  node.has_axes(0, 2);
  node.has_axes(first, 2);
  check_packed(format, first, node.dtype(), node);
  int inner = transpose ? format.values(node.in(first).shape(-1)) : node.in(first).shape(-2);
  node.expect(node.in(0).shape(-1) == inner, "inner axes differ");
  if (node.inputs() > n) check_global_scale(n, first, node);
  node.gives({node.dtype()});
}

void check_index_pair(const NodeCheck& node) {
  node.takes(3, node.inputs());
  node.is(1, int64);
  node.is(2, int64);
  node.has_shape(2, node.shape(1));
}

/** Both operands of a product that quantises them; the weight's arrays from `first` on. */
void check_both(const QuantizedFormat& format, size_t first, bool packed, const NodeCheck& node) {
  check_format(format, node);
  node.expect(!format.has_biases(), "affine mode cannot quantise both operands");
  size_t n = first + 1 + packed;
  node.expect(node.inputs() == n || node.inputs() == n + 2, "it has another number of inputs");
  check_quantizable(0, node);
  node.has_axes(0, 2);
  node.has_axes(first, 2);
  int inner = node.in(0).shape(-1);
  check_row(format, inner, node);
  if (packed) {
    check_packed(format, first, node.dtype(), node);
    node.expect(format.values(node.in(first).shape(-1)) == inner, "inner axes differ");
  } else {
    check_quantizable(first, node);
    node.expect(node.in(first).shape(-1) == inner, "inner axes differ");
  }
  if (node.inputs() > n) {
    check_global_scale(n, 0, node);
    check_global_scale(n + 1, first, node);
  }
  node.gives({node.dtype()});
}

}  // namespace

template <>
void check_node(const Quantize& p, const NodeCheck& node) {
  check_format(p.format(), node);
  node.takes(1, 2);
  check_quantizable(0, node);
  node.has_axes(0, 1);
  check_row(p.format(), node.in(0).shape(-1), node);
  if (node.inputs() == 2) check_global_scale(1, 0, node);
  if (p.format().has_biases()) {
    node.gives({uint32, node.dtype(), node.dtype()});
  } else {
    node.gives({uint32, uint8});
  }
}

template <>
void check_node(const Dequantize& p, const NodeCheck& node) {
  check_format(p.format(), node);
  size_t n = p.format().arrays();
  node.takes(n, n + 1);
  if (p.format().has_biases()) check_quantizable(1, node);
  check_packed(p.format(), 0, node.dtype(1), node);
  if (node.inputs() > n) check_global_scale(n, 0, node);
  node.expect(issubdtype(p.dtype(), floating), "the result has another dtype");
  node.gives({p.dtype()});
}

template <>
void check_node(const QuantizedMatmul& p, const NodeCheck& node) {
  node.takes(2, node.inputs());
  check_factor(p.format(), 1, p.transpose(), node);
}

template <>
void check_node(const GatherQuantizedMatmul& p, const NodeCheck& node) {
  check_index_pair(node);
  node.takes(4, node.inputs());
  check_factor(p.format(), 3, p.transpose(), node);
}

template <>
void check_node(const QQMatmul& p, const NodeCheck& node) {
  node.takes(2, node.inputs());
  check_both(p.format(), 1, p.packed(), node);
}

template <>
void check_node(const GatherQQMatmul& p, const NodeCheck& node) {
  check_index_pair(node);
  node.takes(4, node.inputs());
  check_both(p.format(), 3, p.packed(), node);
}

}  // namespace mlx::core
