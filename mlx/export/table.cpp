// The table itself: one type per primitive. Those are missing that have no inputs, so that files
// hold their values; that live in plans only; or that refer to a group of processes or to
// functions.
#include "mlx/export/table.h"

#include <algorithm>
#include <typeindex>
#include <unordered_map>

#include "mlx/export/stored_fields.h"
#include "mlx/primitives/attention.h"
#include "mlx/primitives/batch_norm.h"
#include "mlx/primitives/broadcast.h"
#include "mlx/primitives/concatenate.h"
#include "mlx/primitives/conv.h"
#include "mlx/primitives/cross_entropy.h"
#include "mlx/primitives/diagonal.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/exp_sum.h"
#include "mlx/primitives/fft.h"
#include "mlx/primitives/gated_delta.h"
#include "mlx/primitives/gather.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/layout.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/mask.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/norm.h"
#include "mlx/primitives/pad.h"
#include "mlx/primitives/pool.h"
#include "mlx/primitives/quantized.h"
#include "mlx/primitives/random.h"
#include "mlx/primitives/recurrent.h"
#include "mlx/primitives/reduce.h"
#include "mlx/primitives/rope.h"
#include "mlx/primitives/scan.h"
#include "mlx/primitives/scatter.h"
#include "mlx/primitives/shape.h"
#include "mlx/primitives/slice.h"
#include "mlx/primitives/softmax.h"
#include "mlx/primitives/sort.h"
#include "mlx/primitives/transforms.h"
#include "mlx/primitives/transpose.h"

namespace mlx::core {

namespace {

template <typename T>
consteval std::string_view class_name() {
  std::string_view text = __PRETTY_FUNCTION__;  // … T = mlx::core::Reduce; …
  size_t begin = text.find("T = ") + 4;
  text = text.substr(begin, text.find_first_of(";]", begin) - begin);
  return text.substr(text.rfind(':') + 1);
}

template <typename P>
void check_as(const Primitive& primitive, const NodeCheck& node) {
  check_node(static_cast<const P&>(primitive), node);
}

template <typename P>
std::shared_ptr<Primitive> make(Stream s, const Values& fields, ControlPrimitive::Graphs graphs) {
  if constexpr (std::is_base_of_v<ControlPrimitive, P>) {
    return restore_primitive<P>(s, fields, std::move(graphs));
  } else {
    ByteReader::expect(graphs.empty(), class_name<P>(), " in the file has graphs.");
    return restore_primitive<P>(s, fields);
  }
}

template <typename... P>
std::vector<ExportRow> rows_of() {
  return {{class_name<P>(), &typeid(P), stored_fields<P>, make<P>, check_as<P>}...};
}

const std::vector<ExportRow>& rows() {
  static const auto* all = new std::vector(
      rows_of<AddMM, ArgReduce, AsStrided, Attention, AttentionBackward, BatchNorm,
              BatchNormBackward, Broadcast, Cholesky, Concatenate, Cond, Contiguous, Convolution,
              ConvolutionWeightGradient, Copy, CrossEntropy, CrossEntropyBackward, Depends,
              Dequantize, Diagonal, DynamicSlice, DynamicSliceUpdate, Eig, Eigh, Elementwise,
              ExpandDims, FFT, FFTN, Flatten, GatedDelta, Gather, GatherAxis, GatherMM,
              GatherQQMatmul, GatherQuantizedMatmul, Identity, Inverse, LU, MaskedScatter,
              MaskedSelect, Matmul, Norm, NormBackward, NumberOfElements, Pad, Partition, Pool,
              PoolBackward, QQMatmul, QR, Quantize, QuantizedMatmul, RandomBits, Recurrent,
              RecurrentBackward, Reduce, Reshape, Rope, RunningExpSum, SVD, Scan, ScanLoop, Scatter,
              ScatterAxis, SearchSorted, SegmentedMM, Slice, SliceUpdate, Softmax, SoftmaxJacobian,
              Solve, Sort, Split, Squeeze, StopGradient, Transpose, TriangularSolve, Unflatten,
              Unique, View, While>());
  return *all;
}

}  // namespace

const ExportRow* export_row(const Primitive& primitive) {
  static const auto* by_type = [] {
    auto* map = new std::unordered_map<std::type_index, const ExportRow*>();
    for (auto& row : rows()) map->emplace(*row.type, &row);
    return map;
  }();
  auto found = by_type->find(typeid(primitive));
  return found == by_type->end() ? nullptr : found->second;
}

const ExportRow* export_row(std::string_view name) {
  auto found = std::ranges::find(rows(), name, &ExportRow::name);
  return found == rows().end() ? nullptr : &*found;
}

}  // namespace mlx::core
