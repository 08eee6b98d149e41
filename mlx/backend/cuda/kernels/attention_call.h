// The arguments of the attention kernels. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct AttentionCall {
  const void *q, *k, *v, *mask, *sinks;
  void* out;
  float* logsumexp;
  void* parts;  // of split keys: [split][row][e] sums, then [split][row] highest scores and totals
  // Zeros, one for each block of rows, by which the last of its parts knows that it is the last and
  // brings them together; null where another kernel does that.
  uint32_t* finished;
  int64_t q_strides[3], k_strides[3], v_strides[3];  // batch, head, position
  int64_t out_strides[3];
  int64_t mask_strides[4];
  int64_t batches, heads;     // lists of rows
  int64_t pack, share;        // heads of queries in a list; lists that share a head of keys
  int64_t length, keys;       // queries of a head, keys
  int64_t d, e, value_width;  // columns of queries and of the result; columns that values may read
  int64_t splits, split_keys;
  int64_t section;  // lists whose blocks come together
  int64_t fold;     // blocks from here on come in reverse
  int64_t causal, bool_mask;
  int64_t dense_out;  // rows of the result follow each other
  int64_t wide_mask;  // sixteen neighbours of the mask can be read in pieces of 16 bytes
  double scale;
};

/** Of the kernels of the backward pass. */
struct AttentionBackwardCall {
  const void *q, *k, *v, *mask, *sinks, *result, *cotangent;
  const float* logsumexp;
  void *dq, *dk, *dv, *dsinks;
  float* row_sums;  // of each query: the products of its result and cotangent
  float* factors;   // of each query under a mask: what makes its weights sum to one
  int64_t q_strides[3], k_strides[3], v_strides[3], result_strides[3], cotangent_strides[3];
  int64_t dq_strides[3], dk_strides[3], dv_strides[3];
  int64_t mask_strides[4];
  int64_t batches, heads, key_heads, length, keys;
  int64_t d, e;                                                      // columns
  int64_t q_width, k_width, v_width, result_width, cotangent_width;  // columns that may be read
  int64_t section;  // lists whose blocks come together
  int64_t causal, bool_mask;
  double scale;
};

}  // namespace mlx::core::kernels
