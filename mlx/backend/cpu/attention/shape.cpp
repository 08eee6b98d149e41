// Geometry of attention.
#include "mlx/backend/cpu/attention/shape.h"

#include "mlx/backend/cpu/copy.h"

namespace mlx::core::cpu {

AttentionShape::AttentionShape(const AttentionSpec& spec, const AttentionInputs& in)
    : batches(in.queries.shape(0)),
      heads(in.queries.shape(1)),
      key_heads(in.keys.shape(1)),
      length(in.queries.shape(2)),
      keys(in.keys.shape(2)),
      width(in.queries.shape(3)),
      value_width(in.values.shape(3)),
      rows(heads / key_heads * length),
      causal(spec.causal) {}

const char* AttentionShape::row_of(const array& a, int64_t batch, int64_t key_head,
                                   int64_t row) const {
  int64_t at = batch * broadcast_stride(a, 0) + head_of(key_head, row) * broadcast_stride(a, 1) +
               row % length * broadcast_stride(a, 2);
  return a.data<char>() + at * static_cast<int64_t>(a.itemsize());
}

void AttentionShape::find_rows(const array& a, const QueryRows& which, const void** rows) const {
  int64_t row = which.first % length;
  int64_t step = broadcast_stride(a, 2) * static_cast<int64_t>(a.itemsize());
  for (int64_t i = 0; i < which.count;) {
    const char* at = row_of(a, which.batch, which.head, which.first + i);
    for (; row < length && i < which.count; row++, at += step) rows[i++] = at;
    row = 0;
  }
}

void find_rows(const array& a, const KeyRows& keys, const void** rows) {
  auto itemsize = static_cast<int64_t>(a.itemsize());
  int64_t at = keys.batch * a.strides(0) + keys.head * a.strides(1) + keys.first * a.strides(2);
  const char* first = a.data<char>() + at * itemsize;
  int64_t step = a.strides(2) * itemsize;
  for (int64_t i = 0; i < keys.count; i++) rows[i] = first + i * step;
}

array with_dense_rows(const array& a) {
  return a.strides(3) == 1 || a.shape(3) == 1 || a.size() == 0 ? a : contiguous(a);
}

int64_t broadcast_stride(const array& a, int axis) {
  return a.shape(axis) == 1 ? 0 : a.strides(axis);
}

}  // namespace mlx::core::cpu
