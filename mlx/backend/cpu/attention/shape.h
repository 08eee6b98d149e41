// What all ways to compute attention on the CPU share: extents, which keys a row may see, and where
// rows of the operands lie. The rows of all queries that share a head of keys count as one run,
// head after head.
#pragma once

#include "mlx/primitives/attention.h"

namespace mlx::core::cpu {

/** Rows of queries, or of what has the shape of queries, that share a head of keys. */
struct QueryRows {
  int64_t batch, head, first, count;
};

/** Keys, or values, of one head. */
struct KeyRows {
  int64_t batch, head, first, count;
};

struct AttentionShape {
  AttentionShape(const AttentionSpec& spec, const AttentionInputs& in);

  int64_t batches, heads, key_heads, length, keys, width, value_width;
  int64_t rows;  // that share a head of keys
  bool causal;

  /** Keys that a row of such a run sees: the first so many; none for a row before the first key. */
  int64_t seen_by(int64_t row) const {
    int64_t seen = causal ? row % length + 1 + keys - length : keys;
    return seen < 0 ? 0 : seen;
  }

  /** The head of queries that a row of such a run belongs to. */
  int64_t head_of(int64_t key_head, int64_t row) const {
    return key_head * (heads / key_heads) + row / length;
  }

  /** Address of a row of an array (B, K, S, ...) or (B, H, L, ...) with any strides. */
  const char* row_of(const array& a, int64_t batch, int64_t key_head, int64_t row) const;

  /** Addresses of several. */
  void find_rows(const array& a, const QueryRows& which, const void** rows) const;

  /** Offset in rows of a run in a row-contiguous array. */
  int64_t run_of(int64_t batch, int64_t key_head) const {
    return (batch * key_heads + key_head) * rows;
  }
};

/** Where the rows of some keys lie. */
void find_rows(const array& a, const KeyRows& keys, const void** rows);

/** The array itself if the elements of its rows lie next to each other, else a copy. */
array with_dense_rows(const array& a);

/** Strides that are 0 along axes of extent 1, so that an index of the broadcast shape may be used.
 */
int64_t broadcast_stride(const array& a, int axis);

}  // namespace mlx::core::cpu
